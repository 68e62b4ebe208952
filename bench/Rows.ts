/**
 * The measurements.
 */
import type { Row } from "./Result.ts"
import type { Bench } from "./rows/Bench.ts"
import { burst, hole } from "./rows/Bursts.ts"
import { alive, compileCache, off, oneCpu, oneCpuNext, oneFile, start } from "./rows/Commands.ts"
import { container, ctrlC } from "./rows/Lost.ts"
import { looks, size } from "./rows/Size.ts"
import { drain, growth, worker } from "./rows/Worker.ts"

/** Every measurement, in the order in which they are made. */
export const all: Readonly<Record<string, (bench: Bench) => Promise<Row | ReadonlyArray<Row>>>> = {
  start,
  alive,
  off,
  "one-file": oneFile,
  "compile-cache": compileCache,
  looks,
  size,
  "one-cpu": oneCpu,
  "one-cpu-next": oneCpuNext,
  "burst-cpu": (bench) => burst(bench, bench.runner, "cpu"),
  "burst-wall": (bench) => burst(bench, bench.pinned, "wall"),
  hole,
  worker,
  drain,
  container,
  "ctrl-c": ctrlC,
  growth
}
