import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["*.test.ts", "{libs,services,cli,deploy,examples,bench,cases}/**/*.test.ts"],
    globalSetup: ["libs/storage/src/testing-setup.ts"],
    restoreMocks: true,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
