/** `TELEMETRY.md`: what a CLI collects, for its users. */
import type * as DataDictionary from "../cli/DataDictionary.ts"
import type { CommonProperties } from "../domain/CommonProperties.ts"
import * as ConsentDecision from "../domain/ConsentDecision.ts"
import * as Markdown from "../domain/Markdown.ts"
import { version } from "../domain/Version.ts"

// What each property says, and a value of it.
const common: { readonly [Name in keyof CommonProperties]-?: readonly [meaning: string, sample: unknown] } = {
  invocation_id: ["a random id of this run", "6f0c3e52-5d0f-4f0e-9d0c-0a4a4f3f8f5e"],
  parent_invocation_id: [
    "the id of the run that started this one. All runs in a shell that a run has opened share it, also after a logout",
    undefined
  ],
  sequence: ["the number of the event in its run, from 0", 0],
  command_name: ["the name of the command", "deploy"],
  cli_version: ["the version of the CLI", "1.2.3"],
  runtime_language: ["the runtime's name", "node"],
  runtime_version: ["the runtime's version", "24.21.0"],
  os_type: ["the operating system", "Linux"],
  os_release: ["the operating system's release", "6.1.0"],
  arch: ["the processor's architecture", "x64"],
  is_ci: ["whether it ran in a CI system", false],
  ci: ["which CI system", undefined],
  is_tty: ["whether stdout was a terminal", true],
  is_first_run: ["whether it was the first run on the device", false],
  agent: ["the coding agent that ran it, if its name is known", undefined],
  schema_version: ["the version of this format", 1],
  $session_id: ["a random id, new after 30 minutes without a command", "0d7c7b0c-1d36-4a8b-8a2f-5c3f1f7f6f7a"],
  $groups: ["groups that the command belongs to, such as a project", undefined],
  $process_person_profile: ["false, if no account is known: PostHog makes no person", false],
  $geoip_disable: ["whether PostHog must not derive a place from the sender's address", true],
  $ignore_sent_at: ["an instruction to PostHog: keep the event's own time", true],
  $lib: ["the library that recorded it", "effect-cli-usage"],
  $lib_version: ["that library's version", version]
}

const sampleOf = (event: string): string =>
  JSON.stringify(
    {
      event,
      properties: {
        duration_ms: 120,
        exit_code: 0,
        flags_used: ["region"],
        ...Object.fromEntries(Object.entries(common).map(([name, [, sample]]) => [name, sample]))
      },
      timestamp: "2026-01-15T09:30:00.000Z",
      uuid: "f2b1d1a0-3a55-4f4e-9f6c-2f1f8f0b7c11",
      distinct_id: "b7e6f2de-9b2f-4c59-8f5b-7a1f0a0f9c3d"
    },
    null,
    2
  )

/** Returns the page of a CLI that users run by a name. */
export const make = ({ events }: DataDictionary.DataDictionary, cli: string): string => {
  const prefix = ConsentDecision.variablePrefix(cli)
  const named = (properties: ReadonlyArray<DataDictionary.Property>): string =>
    properties.map(({ name }) => Markdown.code(name)).join(", ")
  return `# Telemetry of ${cli}

\`${cli}\` records which of its commands are used, and sends that to PostHog. You can turn it off. This page is generated from the events that \`${cli}\` declares.

## What is collected

| event | when | its properties |
| --- | --- | --- |
${
    events.map(({ description, name, properties }) =>
      `| ${Markdown.code(name)} | ${Markdown.cell(description)} | ${named(properties)} |`
    )
      .join("\n")
  }

Every event also has:

| property | what it says |
| --- | --- |
${Object.entries(common).map(([name, [meaning]]) => `| \`${name}\` | ${meaning} |`).join("\n")}

A command may add properties while it runs. \`${cli} telemetry log\` prints each message whole.

An event is sent under the random id of this device. After you log in it is sent under your account, and what the device recorded before is joined to the account. If it is not known whose command it is, as in CI without an account, its events are sent under a random id of that command alone.

## What is never collected

Beyond the properties of the events above, and those that a command adds while it runs, these are never collected:

- The values of flags and arguments. Exception: flags that the authors of \`${cli}\` chose one by one, in \`flag_values\`.
- The text of errors. Exception: a message that the authors of \`${cli}\` wrote for this purpose, in \`error_message\`.
- Paths, file contents, environment variables, the output of commands, and your credential.

PostHog's server sees the address of the sender, as every server does.

## How to turn it off

| | |
| --- | --- |
| \`${cli} telemetry disable\` | for you, on this machine. It also deletes what was kept |
| \`${prefix}_USAGE_TRACKING=0\` | for commands with this variable |
| \`DO_NOT_TRACK=1\` | for every tool that respects it |
| \`/etc/${cli}/usage.json\` with \`{ "enabled": false }\` | for everybody on a Linux machine |

## How to see it

\`${cli} telemetry status\` says whether telemetry is on and what decided that. \`${cli} telemetry log\` prints the messages that wait to be sent, \`${cli} telemetry log --sent\` lists the last messages that were sent, and \`${cli} telemetry events\` lists the events that the authors of \`${cli}\` gave to it. \`${prefix}_USAGE_DEBUG=1\` prints each message of a command, and sends none.

## One event

\`\`\`json
${sampleOf(events[0]?.name ?? "")}
\`\`\`
`
}
