/** Checks the messages of a CLI against named rules. */
import * as Predicate from "effect/Predicate"
import * as Persons from "../testing/Persons.ts"
import type { ReceivedMessage } from "../testing/PostHogSink.ts"
import * as SensitiveValues from "./SensitiveValues.ts"

/** Every rule, with what to do about a finding. */
export const advice = {
  "command-failed-to-start": "Check the words after `--`.",
  "command-did-not-end": "Run a command that ends by itself, or raise `--timeout`.",
  "nothing-sent": "Let the CLI read its PostHog host and key from variables that end in `POSTHOG_HOST` and " +
    "`POSTHOG_KEY` (`--name` says which name they begin with), and check that telemetry is on there: `telemetry status`. No variable may deny it (`DO_NOT_TRACK`, " +
    "`NODE_ENV=test`), and the command may not be `Usage.Untracked`. `Usage.track` comes after the subcommands, and the " +
    "entry of a bundle asks `isWorker()`: `telemetry status` says what is missing.",
  "refused": "Correct this message, or one of its request: PostHog refuses it, and it is lost.",
  "alias-personless": "Leave `$process_person_profile` out of an alias: PostHog drops one that has it as `false`.",
  "identify-anon": "Send no `$identify` for an anonymous id: PostHog refuses or loses its later alias.",
  "event-before-alias": "Send the alias first: PostHog gives earlier events of the account to a second person.",
  "illegal-id": "Use an id of at most 200 characters that is not a placeholder: PostHog refuses to merge this id.",
  "two-principals": "Give a device a new anonymous id at logout: this alias makes one person of two accounts.",
  "merge-refused":
    "Send the account as `distinct_id` and the anonymous id as `alias`, once: PostHog refuses this merge.",
  "uuid-missing": "Give each message a uuid: without one PostHog cannot tell a resend from a new event.",
  "uuid-repeated": "Give each message a uuid of its own: PostHog drops a message with one that it has seen.",
  "sequence-gap": "Number the messages of a command from 0, each by one more: a number that is missing was lost.",
  "flow-end": "End each flow exactly once, as Completed, Aborted or Failed: `Flow.run` does. " +
    "If it is an event that is no flow, then give the CLI's dictionary: `--dictionary`.",
  "undeclared-event": "Declare the event, and write the dictionary again.",
  email: "Leave e-mail addresses out of properties and of names.",
  path: "Leave paths out of properties and of names: they name users, machines and projects.",
  token: "Leave credentials out of properties and out of ids, and revoke this one if it was sent elsewhere.",
  address: "Leave addresses of machines and sites out of properties and of names."
}

/** The name of a rule. */
export type Rule = keyof typeof advice

/** A message, or the whole run, that breaks a rule. */
export interface Finding {
  readonly rule: Rule
  /** What was seen; no value of a property. */
  readonly problem: string
  /** Null for the whole run. */
  readonly uuid: string | null
  readonly event: string | null
  readonly distinct_id: string | null
}

type Findings = ReadonlyArray<Finding>
type Messages = ReadonlyArray<ReceivedMessage>

export const finding = (rule: Rule, problem: string, message?: ReceivedMessage): Finding => ({
  rule,
  problem,
  uuid: message?.uuid || null,
  event: message?.event ?? null,
  distinct_id: message?.distinct_id ?? null
})

const textOf = ({ properties }: ReceivedMessage, name: string): string | undefined => {
  const value = properties[name]
  return Predicate.isString(value) && value !== "" ? value : undefined
}

const mergesIn = (messages: Messages) =>
  messages.flatMap((message) => {
    const other = Persons.otherId(message)
    return other === undefined ? [] : [{ message, into: message.distinct_id, other }]
  })

type Merges = ReturnType<typeof mergesIn>

const isPersonless = ({ properties }: ReceivedMessage): boolean => properties["$process_person_profile"] === false

const uuidV4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

const checkAliases = (merges: Merges): Findings =>
  merges.flatMap(({ message }) =>
    "$process_person_profile" in message.properties
      ? [finding("alias-personless", `${message.event} has $process_person_profile`, message)]
      : []
  )

// An id is anonymous if an alias joins it to an account, or if events without a person were sent under it. A UUID that is
// not the `distinct_id` of a merge also counts as anonymous.
const checkIdentify = (messages: Messages, merges: Merges): Findings => {
  const anonymous = new Set([
    ...merges.map(({ other }) => other),
    ...messages.filter(isPersonless).map(({ distinct_id }) => distinct_id)
  ])
  const accounts = new Set(merges.map(({ into }) => into))
  return messages.flatMap((message) => {
    const { distinct_id, event } = message
    const isAnonymous = !accounts.has(distinct_id) && (anonymous.has(distinct_id) || uuidV4.test(distinct_id))
    return event === "$identify" && isAnonymous
      ? [finding("identify-anon", `$identify of the anonymous id ${distinct_id}`, message)]
      : []
  })
}

// An account may have had events from elsewhere before: from another device, or from this one before a logout.
const isOfOneDevice = (first: ReceivedMessage, second: ReceivedMessage): boolean => {
  const ties = ["$session_id", "invocation_id"].map((name) => [textOf(first, name), textOf(second, name)])
    .filter((tie) => !tie.includes(undefined))
  return ties.length === 0 || ties.some(([a, b]) => a === b)
}

const checkOrder = (messages: Messages, merges: Merges): Findings => {
  const order = new Map(messages.map((message, index) => [message, index]))
  const firsts = new Map(merges.toReversed().map(({ into, message }) => [into, message]))
  return messages.flatMap((message, index) => {
    const alias = firsts.get(message.distinct_id)
    const isBefore = alias !== undefined && index < (order.get(alias) ?? 0) && isOfOneDevice(message, alias)
    return isBefore ? [finding("event-before-alias", `the alias of ${message.distinct_id} came after it`, message)] : []
  })
}

const isIllegal = (id: string): boolean => Persons.isIllegalDistinctId(id) || id.length > 200 || !id.isWellFormed()

const checkIds = (messages: Messages): Findings => {
  const seen = new Set<string>()
  return messages.flatMap((message) => {
    const other = Persons.otherId(message)
    const isEmpty = other === undefined && message.event === "$create_alias"
    const illegal = [message.distinct_id, other].filter((id) => id !== undefined && !seen.has(id) && isIllegal(id))
    for (const id of illegal) seen.add(String(id))
    return [
      ...isEmpty ? [finding("illegal-id", "its alias is no id", message)] : [],
      ...illegal.map((id) => finding("illegal-id", `"${id}" is no id of a person`, message))
    ]
  })
}

const checkSecretIds = (messages: Messages): Findings =>
  [...Map.groupBy(messages, ({ distinct_id }) => distinct_id)].flatMap(([id, [message]]) =>
    SensitiveValues.isCredential(id) ? [finding("token", "its distinct_id looks like a token", message)] : []
  )

const checkMerges = (messages: Messages, merges: Merges): Findings => {
  const principals = new Map<string, string>()
  const twice = merges.flatMap(({ into, message, other }) => {
    const first = principals.get(other) ?? into
    principals.set(other, first)
    return first === into
      ? []
      : [finding("two-principals", `${other} is ${first}'s already, and becomes ${into}'s`, message)]
  })
  const refused = Persons.fold(messages).warnings.flatMap(({ message, type }) =>
    type === "cannot_merge_already_identified" && !twice.some(({ uuid }) => uuid === message.uuid)
      ? [finding("merge-refused", `${Persons.otherId(message)} is an identified person of its own`, message)]
      : []
  )
  return [...twice, ...refused]
}

// The same bytes in another request are a resend.
const checkUuids = (messages: Messages): Findings => {
  const seen = new Map<string, ReceivedMessage>()
  return messages.flatMap((message) => {
    const { raw, request, uuid } = message
    if (uuid === "") return [finding("uuid-missing", "it has no uuid", message)]
    const first = seen.get(uuid)
    if (first === undefined) seen.set(uuid, message)
    return first === undefined || (first.raw === raw && first.request !== request)
      ? []
      : [finding("uuid-repeated", `its uuid is that of an event before it, ${first.event}`, message)]
  })
}

const withoutResends = (messages: Messages): Messages => [
  ...new Map(messages.map((message) => [message.raw, message])).values()
]

const ofInvocation = (messages: Messages) =>
  Map.groupBy(withoutResends(messages), (message) => textOf(message, "invocation_id") ?? "")

const checkSequences = (messages: Messages): Findings =>
  [...ofInvocation(messages)].flatMap(([invocation, own]) => {
    const bySequence = new Map(own.map((message) => [message.properties["sequence"], message]))
    const numbers = [...bySequence.keys()].filter(Predicate.isNumber).toSorted((a, b) => a - b)
    const gap = numbers.findIndex((number, index) => number !== index)
    if (invocation === "" || gap === -1) return []
    const problem = `of the command ${invocation} came ${numbers.join(", ")}, and not ${gap}`
    return [finding("sequence-gap", problem, bySequence.get(numbers[gap]))]
  })

const checkFlows = (messages: Messages, declared: ReadonlySet<string> | undefined): Findings =>
  [...ofInvocation(messages).values()].flatMap((own) => {
    const named = (name: string) => own.filter(({ event }) => event === name)
    const flows = new Set(own.flatMap(({ event }) => /^(.+) Started$/.exec(event)?.[1] ?? []))
    return [...flows].flatMap((flow) => {
      const ends = ["Completed", "Aborted", "Failed"].map((end) => `${flow} ${end}`)
      // An event of the author's own may have such a name: a dictionary lists the ends of a flow too.
      if (declared?.has(`${flow} Started`) && !ends.every((end) => declared.has(end))) return []
      const started = named(`${flow} Started`)
      const ended = ends.flatMap(named)
      const problem = `it was started ${started.length} times and ended ${ended.length} times in one command`
      return started.length === ended.length ? [] : [finding("flow-end", problem, started[0])]
    })
  })

const checkDeclared = (messages: Messages, declared: ReadonlySet<string>): Findings =>
  [...new Map(messages.toReversed().map((message) => [message.event, message])).values()].toReversed().flatMap(
    (message) =>
      declared.has(message.event) ? [] : [finding("undeclared-event", "the dictionary does not have it", message)]
  )

const what = { email: "an e-mail address", path: "a path", token: "a token", address: "an address" }

// Once for each property of an event: a CLI that sends a path sends one each time.
const checkValues = (messages: Messages): Findings => {
  const seen = new Set<string>()
  return messages.flatMap((message) =>
    SensitiveValues.find(message).flatMap(({ at, kind }) => {
      const key = JSON.stringify([message.event, at, kind])
      if (seen.has(key)) return []
      seen.add(key)
      return [finding(kind, `${at} looks like ${what[kind]}`, message)]
    })
  )
}

/** Returns what is wrong with messages that arrived in this order, rule by rule. */
export const check = (
  messages: Messages,
  /** The declared names of events. Default: any. */
  declared?: ReadonlySet<string>
): Findings => {
  const merges = mergesIn(messages)
  return [
    ...checkAliases(merges),
    ...checkIdentify(messages, merges),
    ...checkOrder(messages, merges),
    ...checkIds(messages),
    ...checkSecretIds(messages),
    ...checkMerges(messages, merges),
    ...checkUuids(messages),
    ...checkSequences(messages),
    ...checkFlows(messages, declared),
    ...declared === undefined ? [] : checkDeclared(messages, declared),
    ...checkValues(messages)
  ]
}
