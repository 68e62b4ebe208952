import { assert, describe, it } from "@effect/vitest"
import * as Check from "./Check.ts"
import * as Program from "./Program.ts"

const seeds = 500

const seedFrom = (text: string | undefined): number => {
  const seed = Number(text ?? "1")
  return Number.isSafeInteger(seed) ? seed : 1
}

const seed = seedFrom(process.env["MODEL_SEED"])

const { command } = Program
const event: Program.Op = { _tag: "Event" }
const request: Program.Op = { _tag: "Request", copies: 1 }
const logout: Program.Op = { _tag: "Logout" }
const login = (secret: Program.Secret): Program.Op => ({ _tag: "Login", secret, validated: false })
const validatedLogin = (secret: Program.Secret): Program.Op => ({ _tag: "Login", secret, validated: true })
const stores = (secret: Program.Secret): Program.Actor => ({ _tag: "Store", secret })
const loses: Program.Actor = { _tag: "Lose" }
const links = (principal: string): Program.Actor => ({ _tag: "Link", principal })
const replaces: Program.Actor = { _tag: "Replace" }
const drains = (taken: boolean): Program.Actor => ({ _tag: "Drain", taken })
const disables: Program.Actor = { _tag: "Disable" }
const enables: Program.Actor = { _tag: "Enable" }

const program = (
  actors: ReadonlyArray<Program.Actor>,
  schedule: Partial<Program.Program> = {}
): Program.Program => ({
  seed: 1,
  initial: "empty",
  hasLinks: true,
  actors,
  turns: [],
  switches: [],
  faults: [],
  ...schedule
})

const holds = (program: Program.Program): Check.Counts => {
  const { counts, violation } = Check.attempt(program)
  if (violation !== undefined) assert.fail(`${violation.rule}: ${violation.detail}\n${Program.show(program)}`)
  return counts
}

/** Holds what happens to an actor at each of its steps, one after the other. */
const atEveryStep = (
  { actor, kind, lasts = 1 }: Pick<Program.Fault, "actor" | "kind"> & { readonly lasts?: number },
  program: Program.Program
): void => {
  const at = (step: number) => holds({ ...program, faults: [{ actor, step, kind, lasts }] })
  let step = 0
  while (at(step).faults > 0) step += 1
  assert.isAbove(step, 5)
}

/** The codes with which reading is refused. */
const unreadable = ["EIO", "EACCES", "EMFILE", "ESTALE"] as const

describe("random programs of several processes", () => {
  it(`of ${seeds} seeds from ${seed} on break no rule`, { timeout: 120_000 }, () => {
    const { counterexample, counts } = Check.run(seed, seeds)
    if (counterexample !== undefined) assert.fail(`MODEL_SEED=${seed}\n${Check.show(counterexample)}`)
    // Rules about what never happens would hold too.
    for (const [what, count] of Object.entries(counts)) assert.isAbove(count, 10, what)
    assert.isAbove(counts.steady / counts.events, 0.2)
    assert.isAbove(counts.twins, seeds)
  })

  it("is the same program, and the same run, for the same seed", () => {
    for (const make of [Program.make, Program.makeSequential]) {
      for (const seed of [1, 2, 3]) {
        assert.deepStrictEqual(make(seed), make(seed))
        assert.deepStrictEqual(Check.attempt(make(seed)), Check.attempt(make(seed)))
      }
    }
  })
})

describe("a login", () => {
  it("that validates its key under a variable's credential does not make that one its account's", () => {
    holds(program([
      command([validatedLogin("A2")], { env: "B1" }),
      command([logout]),
      command([], { env: "B1" })
    ]))
  })

  it("whose key cannot be stored does not make the one at hand its account's", () => {
    for (const kind of unreadable) {
      atEveryStep(
        { actor: 1, kind },
        program([stores("B1"), command([validatedLogin("A1")], { api: "hangs" }), command([event])])
      )
    }
  })

  it("that is killed at any step leaves nobody under its name", () => {
    for (const resolver of ["input", "own"] as const) {
      atEveryStep(
        { actor: 1, kind: "kill" },
        program([
          stores("B1"),
          command([validatedLogin("A1")], { api: "hangs", resolver }),
          command([event]),
          command([login("B1")]),
          command([event])
        ])
      )
    }
  })

  it("of another account at any step of a login aliases the device once", () => {
    for (const lasts of [2, 3]) {
      atEveryStep(
        { actor: 0, kind: "suspend", lasts },
        program(
          [command([event, login("A1")]), command([login("B1")]), drains(false), command([event])],
          { turns: [0, 0, 0, 1, 1, 1, 2] }
        )
      )
    }
  })
})

describe("a response", () => {
  it("to a request with a key that was replaced since does not make the new key its account's", () => {
    holds(program(
      [command([login("B1")]), command([request]), stores("A1")],
      { turns: [1], switches: [{ actor: 1, step: 1, to: 2 }, { actor: 0, step: 13, to: 1 }] }
    ))
  })

  it("with an illegal id does not open the identity of a steady command", () => {
    holds(program([command([]), command([validatedLogin("X1"), event])]))
  })
})

describe("a logout", () => {
  it("of a device that the resolver was still asked about is a logout", () => {
    for (const api of ["up", "down", "hangs"] as const) {
      holds(program([stores("A1"), command([logout], { api }), command([])]))
    }
  })

  it("is not undone by a response to a request that was under way", () => {
    atEveryStep(
      { actor: 1, kind: "suspend", lasts: 3 },
      program([stores("A1"), command([request]), command([logout]), command([event]), command([])], {
        turns: [0, 1, 2, 2, 2, 1, 1]
      })
    )
  })

  it("is not undone by a command that was suspended at any step of a login", () => {
    atEveryStep(
      { actor: 0, kind: "suspend", lasts: 4 },
      program([command([login("A1"), event]), command([logout]), drains(true), command([event])], {
        turns: [0, 0, 1, 1, 1, 2, 0, 0, 3]
      })
    )
  })

  it("that is killed at any step leaves the next command to nobody or to a new device", () => {
    atEveryStep(
      { actor: 1, kind: "kill" },
      program([
        command([login("A1")]),
        command([logout]),
        command([event]),
        command([login("B1")]),
        command([event])
      ])
    )
  })

  it("by two commands at once, at any step of each other, ends in one new anon id", () => {
    for (const lasts of [1, 2, 3]) {
      atEveryStep(
        { actor: 1, kind: "suspend", lasts },
        program([command([login("A1")]), command([logout]), command([logout]), command([event])], {
          turns: [0, 0, 0, 1, 2, 1, 2, 2]
        })
      )
    }
  })

  it("forgets the account also after months, where the identity file was rewritten late", () => {
    for (const kind of unreadable) {
      atEveryStep(
        { actor: 1, kind },
        program([
          command([login("A1")]),
          command([logout]),
          { _tag: "Wait", minutes: 91 * 24 * 60 },
          command([login("B1")]),
          command([logout]),
          command([event])
        ])
      )
    }
  })
})

describe("the identity file", () => {
  it("that is replaced at any moment of a read is not taken for an unusable one", () => {
    atEveryStep(
      { actor: 1, kind: "suspend" },
      program([command([login("A1")]), command([event, logout])], { initial: "identity", turns: [0, 1, 0, 1, 1] })
    )
  })

  it("that another tool links or replaces at any step of a command keeps the command's events", () => {
    for (const tool of [links("acct_a"), links("acct_b"), replaces]) {
      for (const ops of [[event, event], [request, event], [event, login("A1"), event], [logout, event]]) {
        atEveryStep(
          { actor: 1, kind: "suspend" },
          program([stores("A1"), command(ops), tool, drains(true), command([event])], {
            initial: "identity",
            turns: [0, 1, 2]
          })
        )
      }
    }
  })

  it("keeps the anon id that another tool made after a logout, whatever an earlier command does then", () => {
    for (const ops of [[event], [event, login("B1")], [event, logout]]) {
      holds(program([stores("A1"), command(ops), command([logout]), replaces, command([event])], {
        turns: [0, 1, 2, 1, 2, 3]
      }))
    }
  })
})

describe("a worker", () => {
  it("that looks at any moment of a login sends its alias before its events", () => {
    for (const lasts of [2, 3, 4]) {
      atEveryStep(
        { actor: 0, kind: "suspend", lasts },
        program([drains(false), command([login("A1"), event]), command([event])], {
          initial: "identity",
          turns: [2, 2, 2, 0, 1, 1, 1, 1, 0]
        })
      )
    }
  })

  it("that cannot read a file at any step sends no event before its alias, and loses none", () => {
    for (const kind of unreadable) {
      atEveryStep(
        { actor: 2, kind },
        program([command([event, login("A1"), event]), command([event]), drains(true)], { initial: "identity" })
      )
    }
  })
})

describe("telemetry that was disabled and enabled again", () => {
  it("does not claim anew what a command that lived through it remembers", () => {
    holds(program([
      command([event, request], { env: "B1", api: "down" }),
      command([login("A1")]),
      drains(true),
      disables,
      enables
    ], { turns: [0, 0, 1, 1, 1, 2, 3, 4, 0, 0] }))
  })

  it("starts empty: a command that lived through it records nothing of the deleted device", () => {
    for (const initial of ["identity", "unusable", "empty"] as const) {
      for (const next of [[], [event], [login("A1")]]) {
        holds(program([command([event, event]), disables, enables, command(next)], {
          initial,
          turns: [0, 0, 1, 2, 3, 3, 0, 0]
        }))
      }
    }
  })
})

describe("consent that cannot be read", () => {
  it("at any step of a login leaves its key to whom it belongs", () => {
    for (const kind of unreadable) {
      atEveryStep(
        { actor: 0, kind },
        program([command([login("A2"), request]), stores("X1"), command([event])], { turns: [0, 0, 1, 2, 0] })
      )
    }
  })

  it("at any step leaves nobody under the name of whoever the device belongs to", () => {
    for (const ops of [[request], [logout, logout], [event, logout], [login("A1")]]) {
      atEveryStep(
        { actor: 1, kind: "EIO" },
        program([command([], { env: "B1" }), command(ops), command([event])])
      )
    }
    atEveryStep(
      { actor: 1, kind: "EIO" },
      program([command([], { env: "B1" }), command([], { env: "X1" }), command([event])])
    )
  })
})

describe("a credential", () => {
  it("that was switched outside since the command began is not taken for the former account's", () => {
    holds(program([stores("A1"), command([request]), stores("B1"), command([event])], { turns: [0, 1, 2] }))
  })

  it("that is gone signs out the device that a validated login claimed", () => {
    holds(program([command([validatedLogin("A1")]), loses, command([event]), command([])]))
  })

  it("whose account another process learned since a steady command began is that account's", () => {
    holds(program([
      command([]),
      stores("A1"),
      command([], { api: "hangs" }),
      command([login("A1")]),
      command([])
    ], { turns: [0, 0, 1, 2, 2, 4, 3, 3, 3, 4] }))
  })
})
