import { assert, it } from "@effect/vitest"
import * as Fleet from "../../bench/Fleet.ts"
import * as Persons from "../../src/testing/Persons.ts"

// Few devices that change hands often: every rule of `$create_alias` is met.
const busy: Fleet.Mix = {
  ...Fleet.mix,
  invocations: 3000,
  teams: 5,
  noAnswer: 0.1,
  laptop: {
    commands: 120,
    withAccount: 0.8,
    commandsBeforeLogin: 4,
    logsOut: 0.1,
    switches: 0.05,
    signsOutElsewhere: 0.05,
    nextIsAnother: 0.4,
    withTeamKey: 0.5,
    commandsWithTeamKey: 0.3
  }
}

const message = (sent: Fleet.Sent): Persons.Message => ({
  timestamp: "2026-01-01T00:00:00.000Z",
  ...(sent._tag === "Alias"
    ? { event: "$create_alias", distinct_id: sent.into, properties: { alias: sent.other } }
    : {
      event: "CLI execution succeeded",
      distinct_id: sent.distinctId,
      properties: sent.personless ? { $process_person_profile: false } : {}
    })
})

for (const policy of Fleet.policies) {
  it(`The fleet has the persons that the model of PostHog makes of its messages: ${policy.name}`, () => {
    const messages: Array<Persons.Message> = []
    const outcome = Fleet.simulate(busy, policy, { seed: 7, onSent: (sent) => messages.push(message(sent)) })
    const folded = Persons.fold(messages)
    const accounts = (ids: ReadonlyArray<string>) => ids.filter((id) => id.startsWith("account_")).length
    assert.isAtLeast(outcome.events, busy.invocations)
    assert.strictEqual(messages.length, outcome.events + outcome.aliases)
    assert.strictEqual(outcome.persons, folded.persons.length)
    assert.strictEqual(outcome.conflated, folded.persons.filter(({ distinctIds }) => accounts(distinctIds) > 1).length)
    assert.strictEqual(outcome.mostIds, Math.max(...folded.persons.map(({ distinctIds }) => distinctIds.length)))
    assert.strictEqual(outcome.refused, folded.warnings.length)
    assert.deepStrictEqual(folded.dropped, [])
  })
}

it("The fleet simulates the same month for every policy and every run", () => {
  const outcomes = Fleet.policies.map((policy) => Fleet.simulate(busy, policy, { seed: 7 }))
  assert.strictEqual(new Set(outcomes.map(({ events }) => events)).size, 1)
  assert.strictEqual(new Set(outcomes.map(({ attributable }) => attributable)).size, 1)
  assert.deepStrictEqual(outcomes, Fleet.policies.map((policy) => Fleet.simulate(busy, policy, { seed: 7 })))
  assert.notDeepEqual(outcomes, Fleet.policies.map((policy) => Fleet.simulate(busy, policy, { seed: 8 })))
})

it("The policy of this package never merges two accounts into one person, and no merge is refused", () => {
  const ours = Fleet.policies.find(({ name }) => name === "ours")
  assert.isDefined(ours)
  if (ours === undefined) return
  for (const seed of [1, 2, 3, 4, 5]) {
    const outcome = Fleet.simulate(busy, ours, { seed })
    assert.strictEqual(outcome.conflated, 0)
    assert.strictEqual(outcome.refused, 0)
    assert.isAbove(outcome.aliases, 0)
  }
  // The other ways to join a device to an account do both, so the mix can tell.
  const naive = Fleet.policies.map((policy) => Fleet.simulate(busy, policy, { seed: 1 }))
  assert.isTrue(naive.some(({ conflated }) => conflated > 0) && naive.some(({ refused }) => refused > 0))
})
