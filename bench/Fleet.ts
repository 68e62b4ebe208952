/**
 * A fleet of devices in memory: what four ways to join a device to an account come to, over a month.
 *
 * The way of this package is decided by its own functions (`src/domain/Attribution.ts`, `Runtime.ts`); what PostHog
 * makes of the messages follows its rules for `$create_alias`, in the aggregated form that a million events need.
 * `test/bench/Fleet.test.ts` holds that form against the model in `src/testing/Persons.ts`.
 */
import type { AnonId } from "../src/domain/AnonId.ts"
import {
  attribute,
  type ClaimFacts,
  consequenceOf,
  type CredentialFacts,
  isSignedOutElsewhere
} from "../src/domain/Attribution.ts"
import type { PrincipalId } from "../src/domain/PrincipalId.ts"
import { isEphemeral, type RuntimeFacts } from "../src/domain/Runtime.ts"

// == the mix

/** Where commands run, and what users do; every figure is an assumption, to be replaced by one's own. */
export const mix = {
  invocations: 1_000_000,
  days: 30,
  /** The share of invocations in runtimes whose disk does not survive. Published figures are 31 to 85 %. */
  ephemeral: 0.58,
  ephemeralKinds: { ci: 0.6, docker: 0.25, npx: 0.15 },
  /** The share of them with an account's key in the environment. */
  ephemeralKeys: { ci: 0.8, docker: 0.5, npx: 0.3 },
  /** How many commands one pipeline, container or `npx` runs before its disk is gone. */
  ephemeralLife: { ci: 3, docker: 4, npx: 1 },
  laptop: {
    /** Commands a month. */
    commands: 120,
    /** The share whose user ever logs in, and after how many commands they do, on average. */
    withAccount: 0.7,
    commandsBeforeLogin: 8,
    /** Per command of a user who is logged in. */
    logsOut: 0.002,
    /** A second user logs in over the first, without a logout. */
    switches: 0.0005,
    /** The key is removed, but not by the CLI. */
    signsOutElsewhere: 0.0005,
    /** The next one to log in after a logout is somebody else. */
    nextIsAnother: 0.1,
    /** The share that has a team's key at hand, and the share of its commands that are run with it. */
    withTeamKey: 0.1,
    commandsWithTeamKey: 0.2
  },
  /** How often the account of a new key cannot be had: no network, an API that is down. */
  noAnswer: 0.02,
  /** Accounts that pipelines, containers and teams use. */
  teams: 300
}

export type Mix = typeof mix

const shares = [0.31, 0.58, 0.85]

// == chance

/** mulberry32: the same numbers for the same seed. */
const chance = (seed: number) => {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const hex = (digits: 3 | 4 | 8): string => Math.floor(next() * 16 ** digits).toString(16).padStart(digits, "0")
  return {
    next,
    happens: (probability: number): boolean => next() < probability,
    below: (n: number): number => Math.floor(next() * n),
    uuid: (): string => `${hex(8)}-${hex(4)}-4${hex(3)}-8${hex(3)}-${hex(4)}${hex(8)}`
  }
}

// == what PostHog makes of it

/** A message, as far as its persons go. */
export type Sent =
  | { readonly _tag: "Event"; readonly distinctId: string; readonly personless: boolean }
  | { readonly _tag: "Alias"; readonly into: string; readonly other: string }

interface Person {
  isIdentified: boolean
  size: number
  mergedInto: Person | undefined
}

const final = (person: Person): Person => {
  let at = person
  while (at.mergedInto !== undefined) at = at.mergedInto
  return at
}

/** PostHog's persons (rules R1 to R9 of `$create_alias`), without their events. */
const makePersons = () => {
  const holders = new Map<string, Person>()
  let count = 0
  let refused = 0

  const hold = (id: string, person: Person): void => {
    holders.set(id, person)
    person.size += 1
  }
  const find = (id: string): Person | undefined => {
    const person = holders.get(id)
    return person === undefined ? undefined : final(person)
  }
  const create = (id: string): Person => {
    count += 1
    const person: Person = { isIdentified: false, size: 0, mergedInto: undefined }
    hold(id, person)
    return person
  }

  return {
    find,
    ids: (): Iterable<string> => holders.keys(),
    count: (): number => count,
    refused: (): number => refused,
    take: (sent: Sent): void => {
      if (sent._tag === "Event") {
        if (!sent.personless && find(sent.distinctId) === undefined) create(sent.distinctId)
        return
      }
      const theirs = find(sent.other)
      const into = find(sent.into)
      const target = into ?? theirs ?? create(sent.into)
      if (into === undefined && theirs !== undefined) hold(sent.into, target)
      target.isIdentified = true
      if (theirs === undefined) return hold(sent.other, target)
      if (theirs === target) return
      if (theirs.isIdentified) {
        refused += 1
        return
      }
      theirs.mergedInto = target
      target.size += theirs.size
      count -= 1
    }
  }
}

// == the policies

interface Device {
  readonly runtime: RuntimeFacts
  anonId: AnonId
  claim: ClaimFacts | undefined
  /** The account whose key the CLI has stored. */
  stored: PrincipalId | undefined
  /** Whose the stored key is known to be. */
  knownPrincipal: PrincipalId | undefined
  /** The accounts whose key in the environment is known. */
  readonly knownTeams: Set<PrincipalId>
  isFirstRun: boolean
  /** Who sits at it, whether the CLI knows them or not. */
  user: PrincipalId | undefined
  readonly teamKey: PrincipalId | undefined
}

interface Run {
  readonly device: Device
  readonly credential: CredentialFacts & { readonly source: ClaimFacts["credential"] }
  /** Whose the credential is, where that can be known in this run. */
  readonly principal: PrincipalId | undefined
  readonly isLogin: boolean
  readonly invocationId: string
  readonly newAnonId: () => AnonId
}

interface Policy {
  readonly name: string
  /** What a run sends: aliases first, then its event. */
  readonly run: (run: Run) => ReadonlyArray<Sent>
  /** What a logout does to the device. */
  readonly logout: (device: Device, newAnonId: () => AnonId) => void
}

const ephemeral = ({ isFirstRun, runtime }: Device): boolean =>
  isEphemeral(runtime, { durable: true, firstRun: isFirstRun })

const event = (distinctId: string, personless: boolean): Sent => ({ _tag: "Event", distinctId, personless })
const alias = (into: string, other: string): Sent => ({ _tag: "Alias", into, other })

const rotate = (device: Device, newAnonId: () => AnonId): void => {
  device.anonId = newAnonId()
  device.claim = undefined
}

const own = (device: Device, principal: PrincipalId | undefined): Sent =>
  principal === undefined ? event(device.anonId, true) : event(principal, false)

/** The four that are compared; none makes a person of an anonymous event. */
export const policies: ReadonlyArray<Policy> = [
  {
    name: "alias on every authenticated run",
    run: ({ device, principal }) => [
      ...(principal === undefined ? [] : [alias(principal, device.anonId)]),
      own(device, principal)
    ],
    logout: () => {}
  },
  {
    name: "alias where the disk lasts, nothing elsewhere",
    run: ({ credential, device, principal }) => {
      if (principal === undefined || ephemeral(device)) return [event(device.anonId, true)]
      const isLinked = device.claim?.principal_id === principal
      device.claim = { principal_id: principal, credential: credential.source }
      return isLinked ? [own(device, principal)] : [alias(principal, device.anonId), own(device, principal)]
    },
    logout: rotate
  },
  {
    name: "stamp only",
    run: ({ device, principal }) => [own(device, principal)],
    logout: () => {}
  },
  {
    name: "ours",
    run: ({ credential, device, invocationId, isLogin, newAnonId, principal }) => {
      if (isSignedOutElsewhere({ claim: device.claim, credential })) rotate(device, newAnonId)
      const sent: Array<Sent> = []
      let slot: PrincipalId | undefined
      if (principal !== undefined) {
        const consequence = consequenceOf({
          principal,
          seenBy: isLogin ? "login" : "resolver",
          slot,
          claim: device.claim,
          credential,
          ephemeral: ephemeral(device)
        })
        if (consequence !== "Nothing") slot = principal
        if (consequence === "Claim") sent.push(alias(principal, device.anonId))
        if (consequence === "Switch") rotate(device, newAnonId)
        if (consequence === "Claim" || consequence === "Switch") {
          device.claim = { principal_id: principal, credential: credential.source }
        }
      }
      const to = attribute({ slot, anonId: device.anonId, claim: device.claim, credential, invocationId })
      return [...sent, event(to.distinctId, to.personless)]
    },
    logout: rotate
  }
]

// == the month

/** What a policy came to. */
export interface Outcome {
  readonly events: number
  /** Events of a user who has an account that was seen at some time, before or after. */
  readonly attributable: number
  /** Of these: shown under that account's person, and no other account's. */
  readonly attributed: number
  /** Events shown under somebody else's person, or under one that holds two accounts. */
  readonly wrong: number
  readonly aliases: number
  readonly refused: number
  readonly persons: number
  /** Persons that hold more than one account. */
  readonly conflated: number
  /** The most distinct ids in one person. */
  readonly mostIds: number
}

const terminal: RuntimeFacts = { ci: undefined, container: false, stdoutIsTerminal: true }
const kinds = {
  ci: { ci: "GitHub Actions", container: false, stdoutIsTerminal: false },
  docker: { ci: undefined, container: true, stdoutIsTerminal: false },
  npx: { ci: undefined, container: false, stdoutIsTerminal: false }
} satisfies Record<string, RuntimeFacts>

/** Runs a month of a mix under a policy. */
export const simulate = (
  mix: Mix,
  policy: Policy,
  options: { readonly seed: number; readonly onSent?: (sent: Sent) => void }
): Outcome => {
  const { below, happens, next } = chance(options.seed)
  // What a policy draws must not change what happens: the month is the same for all four.
  const ids = chance(options.seed + 1)
  const newAnonId = (): AnonId => ids.uuid() as AnonId
  const persons = makePersons()
  const seen = new Set<PrincipalId>()
  let aliases = 0
  let accounts = 0
  let runs = 0

  const newAccount = (): PrincipalId => `account_${++accounts}` as PrincipalId
  const teams = Array.from({ length: mix.teams }, newAccount)
  // Few teams run most of the pipelines.
  const team = (): PrincipalId => teams[Math.floor(mix.teams * next() ** 3)] ?? newAccount()

  const device = (runtime: RuntimeFacts, user?: PrincipalId, teamKey?: PrincipalId): Device => ({
    runtime,
    anonId: newAnonId(),
    claim: undefined,
    stored: undefined,
    knownPrincipal: undefined,
    knownTeams: new Set(),
    isFirstRun: true,
    user,
    teamKey
  })

  // Which distinct id was used how often by whom.
  const used = new Map<string, Map<PrincipalId | undefined, number>>()
  const count = (distinctId: string, actor: PrincipalId | undefined): void => {
    const by = used.get(distinctId) ?? new Map<PrincipalId | undefined, number>()
    if (by.size === 0) used.set(distinctId, by)
    by.set(actor, (by.get(actor) ?? 0) + 1)
  }

  const run = (
    device: Device,
    key: { readonly source: "stored" | "environment"; readonly of: PrincipalId } | undefined,
    isLogin: boolean
  ): void => {
    const isKnown = key !== undefined &&
      (key.source === "stored" ? device.knownPrincipal === key.of : device.knownTeams.has(key.of))
    const answers = !happens(mix.noAnswer)
    const principal = key !== undefined && (isKnown || isLogin || answers) ? key.of : undefined
    const credential: Run["credential"] = { source: key?.source ?? "none", principal: isKnown ? key.of : undefined }
    const sent = policy.run({ device, credential, principal, isLogin, invocationId: `run_${++runs}`, newAnonId })
    if (principal !== undefined) {
      seen.add(principal)
      if (key?.source === "stored") device.knownPrincipal = principal
      else device.knownTeams.add(principal)
    }
    for (const one of sent) {
      options.onSent?.(one)
      persons.take(one)
      if (one._tag === "Alias") aliases += 1
      else count(one.distinctId, key?.of ?? device.user)
    }
    device.isFirstRun = false
  }

  const laptops = Array.from(
    { length: Math.ceil(mix.invocations * (1 - mix.ephemeral) / mix.laptop.commands) },
    () => {
      const teamKey = happens(mix.laptop.withTeamKey) ? team() : undefined
      // Who has no account but a team's key works for that team.
      return device(terminal, happens(mix.laptop.withAccount) ? newAccount() : teamKey, teamKey)
    }
  )

  const onLaptop = (): void => {
    const laptop = laptops[below(laptops.length)]
    if (laptop === undefined) return
    const { laptop: habits } = mix
    if (laptop.teamKey !== undefined && happens(habits.commandsWithTeamKey)) {
      return run(laptop, { source: "environment", of: laptop.teamKey }, false)
    }
    if (laptop.stored === undefined) {
      const logsIn = laptop.user !== undefined && laptop.user !== laptop.teamKey
      if (laptop.user === undefined || !logsIn || !happens(1 / habits.commandsBeforeLogin)) {
        return run(laptop, undefined, false)
      }
      laptop.stored = laptop.user
      return run(laptop, { source: "stored", of: laptop.user }, true)
    }
    const leaves = happens(habits.logsOut)
    run(laptop, { source: "stored", of: laptop.stored }, false)
    if (leaves) {
      laptop.stored = undefined
      laptop.knownPrincipal = undefined
      policy.logout(laptop, newAnonId)
      if (happens(habits.nextIsAnother)) laptop.user = newAccount()
    } else if (happens(habits.switches)) {
      laptop.user = newAccount()
      laptop.stored = laptop.user
      run(laptop, { source: "stored", of: laptop.user }, true)
    } else if (happens(habits.signsOutElsewhere)) {
      laptop.stored = undefined
      laptop.knownPrincipal = undefined
    }
  }

  const lives = new Map<string, { readonly device: Device; readonly key: PrincipalId | undefined }>()
  const onShort = (): void => {
    const draw = next()
    const { ci, docker } = mix.ephemeralKinds
    const kind = draw < ci ? "ci" : draw < ci + docker ? "docker" : "npx"
    const old = lives.get(kind)
    const life = old === undefined || happens(1 / mix.ephemeralLife[kind])
      ? { device: device(kinds[kind]), key: happens(mix.ephemeralKeys[kind]) ? team() : undefined }
      : old
    lives.set(kind, life)
    run(life.device, life.key === undefined ? undefined : { source: "environment", of: life.key }, false)
  }

  for (let n = 0; n < mix.invocations; n++) {
    if (happens(mix.ephemeral)) onShort()
    else onLaptop()
  }

  // Every account of a person, and every id.
  const accountsOf = Map.groupBy([...persons.ids()].filter((id) => id.startsWith("account_")), persons.find)
  let events = 0
  let attributable = 0
  let attributed = 0
  let wrong = 0
  for (const [distinctId, by] of used) {
    const owners = accountsOf.get(persons.find(distinctId))
    for (const [actor, times] of by) {
      events += times
      const hasAccount = actor !== undefined && seen.has(actor)
      if (hasAccount) attributable += times
      if (owners === undefined) continue
      if (hasAccount && owners.length === 1 && owners.includes(actor)) attributed += times
      else wrong += times
    }
  }
  let mostIds = 0
  for (const id of persons.ids()) mostIds = Math.max(mostIds, persons.find(id)?.size ?? 0)
  return {
    events,
    attributable,
    attributed,
    wrong,
    aliases,
    refused: persons.refused(),
    persons: persons.count(),
    conflated: [...accountsOf.values()].filter(({ length }) => length > 1).length,
    mostIds
  }
}

// == for people

const seed = 20_260_101
const number = (n: number): string => n.toLocaleString("en-US")
const percent = (part: number, whole: number): string => `${(100 * part / whole).toFixed(1)} %`

/** The tables of docs/fleet.md. */
export const report = (): string =>
  shares.map((share) => {
    const rows = policies.map((policy) => ({
      policy,
      outcome: simulate({ ...mix, ephemeral: share }, policy, { seed })
    }))
    const [first] = rows
    const events = first?.outcome.events ?? 0
    return [
      `### ${percent(share, 1)} of invocations in ephemeral runtimes`,
      "",
      `${number(events)} events over ${mix.days} days; ${
        number(first?.outcome.attributable ?? 0)
      } of them are of somebody with an account.`,
      "",
      "| policy | attributed to the account | of those that could be | to somebody else | `$create_alias` | persons | holding two accounts | most ids in one person |",
      "| --- | --: | --: | --: | --: | --: | --: | --: |",
      ...rows.map(({ outcome, policy }) =>
        `| ${policy.name} | ${number(outcome.attributed)} | ${percent(outcome.attributed, outcome.attributable)} | ${
          number(outcome.wrong)
        } | ${number(outcome.aliases)} | ${number(outcome.persons)} | ${number(outcome.conflated)} | ${
          number(outcome.mostIds)
        } |`
      )
    ].join("\n")
  }).join("\n\n")
