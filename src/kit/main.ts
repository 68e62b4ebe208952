#!/usr/bin/env node
/** The `effect-cli-usage` command, for authors of CLIs. */
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import { version } from "../domain/Version.ts"
import * as DictionaryCommand from "./DictionaryCommand.ts"
import * as SinkCommand from "./SinkCommand.ts"

Command.make("effect-cli-usage").pipe(
  Command.withDescription("Show and check the usage events of a CLI"),
  Command.withSubcommands([SinkCommand.command, DictionaryCommand.command]),
  Command.run({ version }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain
)
