#!/usr/bin/env node
/** The `effect-cli-usage` command, for authors of CLIs. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { version } from "../domain/Version.ts"
import * as DictionaryCommand from "./DictionaryCommand.ts"
import * as SinkCommand from "./SinkCommand.ts"

// `engines` of package.json. An older Node.js loads this file, and fails in the middle of a command.
const minimum = "22.19.0"
const { bun, deno, node } = process.versions
const isOld = bun === undefined && deno === undefined && node.localeCompare(minimum, "en", { numeric: true }) < 0

const refuse = Effect.andThen(
  Console.error(`effect-cli-usage needs Node.js ${minimum} or newer, and this is ${node}`),
  Effect.sync(() => void (process.exitCode = 1))
)

const kit = Command.make("effect-cli-usage").pipe(
  Command.withDescription("Show and check the usage events of a CLI"),
  Command.withSubcommands([SinkCommand.command, DictionaryCommand.command]),
  Command.run({ version }),
  Effect.provide(NodeServices.layer)
)

NodeRuntime.runMain(isOld ? refuse : kit)
