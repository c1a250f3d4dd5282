import { defineConfig } from "vitest/config";

/** Tests that set what a process has once, such as where its traces go: each in a worker of its own. */
const ownWorker = [
  "deploy/local/e2e/one-trace.test.ts",
  "libs/ai/src/observed-exchange.test.ts",
  "libs/chassis/src/telemetry.test.ts",
  "libs/events/src/event-bus.test.ts",
];

export default defineConfig({
  test: {
    globalSetup: ["libs/storage/src/testing-setup.ts"],
    // Cores minus one, vitest's default, leaves one of two without work.
    maxWorkers: "100%",
    projects: [
      {
        extends: true,
        test: {
          name: "shared workers",
          include: ["*.test.ts", "{libs,services,cli,deploy,examples,bench,cases}/**/*.test.ts"],
          exclude: ["**/node_modules/**", ...ownWorker],
          // Most of a small test's time is the loading of modules that the one before it had, too.
          isolate: false,
        },
      },
      { extends: true, test: { name: "own workers", include: ownWorker } },
    ],
    restoreMocks: true,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
