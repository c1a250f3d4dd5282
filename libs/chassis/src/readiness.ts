/** Where a service registers what it depends on. */
export interface Readiness {
  /**
   * Adds a check that resolves while the dependency works and rejects with the reason when it
   * does not. It is run whenever someone asks, and given up after two seconds.
   */
  check(name: string, probe: () => Promise<void>): void;
}
