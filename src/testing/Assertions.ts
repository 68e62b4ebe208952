/** Assertions about what was recorded: a failure says what that is. */
import * as Equal from "effect/Equal"
import { AssertionError } from "node:assert"
import type { Recorded, RecordedEvent } from "./TestUsage.ts"

/**
 * An event in part: each field that is there is equal, and of `properties` and `common` each property.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExpectedEvent {
  readonly event?: string
  readonly command?: string | undefined
  /** Undefined for an event without an account. */
  readonly principal?: string | undefined
  readonly anonId?: string | undefined
  readonly properties?: Readonly<Record<string, unknown>>
  readonly common?: Readonly<Record<string, unknown>>
}

const fieldsOf = ["event", "command", "principal", "anonId"] as const
const knownFields: ReadonlyArray<string> = [...fieldsOf, "properties", "common"]

const has = (all: Readonly<Record<string, unknown>>, some: Readonly<Record<string, unknown>> = {}): boolean =>
  Object.entries(some).every(([name, value]) => Equal.equals(all[name], value))

// A misspelled field would match every event. TypeScript refuses it only in a literal.
const matches = (expected: ExpectedEvent) => {
  const unknown = Object.keys(expected).find((field) => !knownFields.includes(field))
  if (unknown !== undefined) throw new TypeError(`an event has no field "${unknown}": ${knownFields.join(", ")}`)
  return (event: RecordedEvent): boolean =>
    fieldsOf.every((field) => !(field in expected) || event[field] === expected[field]) &&
    has(event.properties, expected.properties) && has(event.common, expected.common)
}

const text = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => part === undefined ? "(undefined)" : part)

const listed = (title: string, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)]

const summaryOf = ({ aliases, events, refused }: Recorded): string =>
  [
    ...events.length === 0 ? ["No event was recorded."] : [],
    ...listed(
      "Recorded",
      events.map(({ anonId, command, event, principal, properties }) =>
        `${event}${command === undefined ? "" : ` (${command})`} of ${principal ?? `nobody, ${anonId}`}: ${
          text(properties)
        }`
      )
    ),
    ...listed("Joined", aliases.map(({ anonId, principal }) => `${anonId} to ${principal}`)),
    ...listed("Refused", refused.map(({ event, reason }) => `${event}: ${reason}`))
  ].join("\n")

const failure = (problem: string, recorded: Recorded, actual: unknown, expected: unknown) =>
  new AssertionError({ message: `${problem}\n${summaryOf(recorded)}`, actual, expected, operator: "recorded" })

/**
 * Asserts that an event was recorded, and returns the first one that is as expected.
 *
 * **Example** (Asserting a property, and that the event has no account)
 *
 * ```ts
 * const test = Effect.map(TestUsage.recorded, (recorded) =>
 *   TestUsage.assertEvent(recorded, { command: "deploy", principal: undefined, properties: { exit_code: 0 } }))
 * ```
 *
 * @category assertions
 * @since 0.1.0
 */
export const assertEvent = (recorded: Recorded, expected: ExpectedEvent): RecordedEvent => {
  const found = recorded.events.find(matches(expected))
  if (found === undefined) {
    throw failure(`No recorded event is ${text(expected)}.`, recorded, recorded.events, expected)
  }
  return found
}

/**
 * Asserts that no event was recorded that is as given.
 *
 * @category assertions
 * @since 0.1.0
 */
export const assertNoEvent = (recorded: Recorded, unexpected: ExpectedEvent): void => {
  const found = recorded.events.find(matches(unexpected))
  if (found !== undefined) {
    throw failure(`A recorded event is ${text(unexpected)}.`, recorded, found, undefined)
  }
}

const assertSame = (
  what: string,
  recorded: Recorded,
  actual: ReadonlyArray<string>,
  expected: ReadonlyArray<string>
) => {
  if (Equal.equals(actual, expected)) return
  throw failure(`${what} are ${text(actual)}, not ${text(expected)}.`, recorded, actual, expected)
}

/**
 * Asserts the names of all recorded events, in their order; an empty list asserts that nothing was recorded.
 *
 * @category assertions
 * @since 0.1.0
 */
export const assertEvents = (recorded: Recorded, names: ReadonlyArray<string>): void =>
  assertSame("The recorded events", recorded, recorded.events.map(({ event }) => event), names)

/**
 * Asserts the accounts that the device was joined to; an empty list asserts that it was joined to none.
 *
 * @category assertions
 * @since 0.1.0
 */
export const assertJoined = (recorded: Recorded, principals: ReadonlyArray<string>): void =>
  assertSame("The accounts joined", recorded, recorded.aliases.map(({ principal }) => principal), principals)
