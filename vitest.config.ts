import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["{test,examples}/**/*.test.ts"],
    // A limit only bounds a failure: no test may fail on a slow or busy machine.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // Two cores: each file starts child processes of its own.
    maxWorkers: 2,
    maxConcurrency: 3,
    // The module is off in a test run (a test run is a denial), so a test says where it is not one.
    env: { NODE_ENV: "test" },
    // Of the tests' own process: a child, such as a worker, a host or the kit, is not counted (docs/coverage.md).
    coverage: {
      include: ["src/**/*.ts"],
      reporter: [["text", { skipFull: true, maxCols: 120 }], "json-summary"],
      reportsDirectory: ".cache/coverage"
    }
  }
})
