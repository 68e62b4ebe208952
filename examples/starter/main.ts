import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { program } from "./Cli.ts"

NodeRuntime.runMain(program)
