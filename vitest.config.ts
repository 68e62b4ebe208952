import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores: each file starts child processes of its own.
    maxWorkers: 2,
    // The module is off in a test run (a test run is a denial), so a test says where it is not one.
    env: { NODE_ENV: "test" }
  }
})
