import { assert, describe, it } from "@effect/vitest"
import * as Check from "./Check.ts"
import * as Program from "./Program.ts"

const programs = 1000

const seedFrom = (text: string | undefined): number => {
  const seed = Number(text ?? "1")
  return Number.isSafeInteger(seed) ? seed : 1
}

const command = (ops: ReadonlyArray<Program.Op>, options: Partial<Program.Command> = {}): Program.Command => ({
  _tag: "Command",
  runtime: "terminal",
  env: undefined,
  api: "up",
  ops,
  ...options
})

const event: Program.Op = { _tag: "Event" }
const request: Program.Op = { _tag: "Request", copies: 1 }
const logout: Program.Op = { _tag: "Logout" }
const login = (secret: Program.Secret): Program.Op => ({ _tag: "Login", secret, validated: false })
const validatedLogin = (secret: Program.Secret): Program.Op => ({ _tag: "Login", secret, validated: true })

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

const holds = (program: Program.Program): void => {
  const { violation } = Check.attempt(program)
  if (violation !== undefined) assert.fail(`${violation.rule}: ${violation.detail}\n${Program.show(program)}`)
}

/** What holds wherever in the first steps of a command something happens: more than any command here has. */
const atEveryStep = (make: (step: number) => Program.Program, steps = 120): void => {
  for (let step = 0; step < steps; step += 1) holds(make(step))
}

describe("random programs of several processes", () => {
  it(`of which ${programs} break no rule`, () => {
    const seed = seedFrom(process.env["MODEL_SEED"])
    const { counterexample, counts } = Check.run(seed, programs)
    if (counterexample !== undefined) assert.fail(`MODEL_SEED=${seed}\n${Check.show(counterexample)}`)
    // Rules about what never happens would hold too.
    for (const [what, count] of Object.entries(counts)) assert.isAbove(count, 10, what)
  }, 120_000)

  it("is the same program, and the same run, for the same seed", () => {
    for (const seed of [1, 2, 3]) {
      assert.deepStrictEqual(Program.make(seed), Program.make(seed))
      assert.deepStrictEqual(Check.attempt(Program.make(seed)), Check.attempt(Program.make(seed)))
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
    atEveryStep((step) =>
      program([
        { _tag: "Store", secret: "B1" },
        command([validatedLogin("A1")], { api: "hangs" }),
        command([event])
      ], { faults: [{ actor: 1, step, kind: "EIO", lasts: 1 }] })
    )
  })

  it("that is killed at any step leaves nobody under its name", () => {
    atEveryStep((step) =>
      program([
        { _tag: "Store", secret: "B1" },
        command([validatedLogin("A1")], { api: "hangs" }),
        command([event]),
        command([login("B1")]),
        command([event])
      ], { faults: [{ actor: 1, step, kind: "kill", lasts: 1 }] })
    )
  })

  it("of another account at any step of a login aliases the device once", () => {
    atEveryStep((step) =>
      program([
        command([event, login("A1")]),
        command([login("B1")]),
        { _tag: "Drain", taken: false },
        command([event])
      ], { turns: [0, 0, 0, 1, 1, 1, 2], switches: [{ actor: 0, step, to: 1 }] })
    )
  })
})

describe("a logout", () => {
  it("of a device that the resolver was still asked about is a logout", () => {
    for (const api of ["up", "down", "hangs"] as const) {
      holds(program([{ _tag: "Store", secret: "A1" }, command([logout], { api }), command([])]))
    }
  })

  it("is not undone by a response to a request that was under way", () => {
    atEveryStep((step) =>
      program([
        { _tag: "Store", secret: "A1" },
        command([request]),
        command([logout]),
        command([event]),
        command([])
      ], { turns: [0, 1, 1, 2, 2, 2, 1, 1], switches: [{ actor: 1, step, to: 2 }] })
    )
  })

  it("is not undone by a command that was suspended at any step of a login", () => {
    atEveryStep((step) =>
      program([
        command([login("A1"), event]),
        command([logout]),
        { _tag: "Drain", taken: true },
        command([event])
      ], {
        turns: [0, 0, 1, 1, 1, 2, 0, 0, 0, 3],
        faults: [{ actor: 0, step, kind: "suspend", lasts: 1 }]
      })
    )
  })

  it("that is killed at any step leaves the next command to nobody or to a new device", () => {
    atEveryStep((step) =>
      program([
        command([login("A1")]),
        command([logout]),
        command([event]),
        command([login("B1")]),
        command([event])
      ], { faults: [{ actor: 1, step, kind: "kill", lasts: 1 }] })
    )
  })

  it("by two commands at once, in any order of their steps, ends in one new anon id", () => {
    atEveryStep((step) =>
      program([
        command([login("A1")]),
        command([logout]),
        command([logout]),
        command([event])
      ], {
        turns: [0, 0, 0, 1, 2, 1, 2],
        switches: [{ actor: 1, step, to: 2 }, { actor: 2, step: step / 2, to: 1 }]
      })
    )
  })

  it("forgets the account also after months, where the identity file was rewritten late", () => {
    atEveryStep((step) =>
      program([
        command([login("A1")]),
        command([logout]),
        { _tag: "Wait", minutes: 91 * 24 * 60 },
        command([login("B1")]),
        command([logout]),
        command([event])
      ], { faults: [{ actor: 1, step, kind: "EIO", lasts: 1 }] })
    )
  })
})

describe("the identity file", () => {
  it("that is replaced at any moment of a read is not taken for an unusable one", () => {
    atEveryStep((step) =>
      program([
        command([login("A1")]),
        command([event, logout])
      ], { initial: "identity", turns: [0, 1, 1, 1], switches: [{ actor: 1, step, to: 0 }] }), 60)
  })
})

describe("a worker", () => {
  it("that looks at any moment of a login sends its alias before its events", () => {
    atEveryStep((step) =>
      program([
        { _tag: "Drain", taken: false },
        command([login("A1"), event]),
        command([event])
      ], { initial: "identity", turns: [2, 2, 2, 0, 1, 1, 1, 1, 0], switches: [{ actor: 0, step, to: 1 }] }), 40)
  })
})

describe("telemetry that was disabled and enabled again", () => {
  it("does not claim anew what a command that lived through it remembers", () => {
    holds(program([
      command([event, request], { env: "B1", api: "down" }),
      command([login("A1")]),
      { _tag: "Drain", taken: true },
      { _tag: "Disable" },
      { _tag: "Enable" }
    ], { turns: [0, 0, 1, 1, 1, 2, 3, 4, 0, 0] }))
  })

  it("starts empty: a command that lived through it records nothing of the deleted device", () => {
    for (const initial of ["identity", "unusable", "empty"] as const) {
      for (const next of [[], [event], [login("A1")]]) {
        holds(program([
          command([event, event]),
          { _tag: "Disable" },
          { _tag: "Enable" },
          command(next)
        ], { initial, turns: [0, 0, 1, 2, 3, 3, 0, 0] }))
      }
    }
  })
})

describe("consent that cannot be read", () => {
  it("at any step of a login leaves its key to whom it belongs", () => {
    atEveryStep((step) =>
      program([
        command([login("A2"), request]),
        { _tag: "Store", secret: "X1" },
        command([event])
      ], { turns: [0, 0, 1, 2, 0], faults: [{ actor: 0, step, kind: "EIO", lasts: 1 }] }), 60)
  })

  it("at any step leaves nobody under the name of whoever the device belongs to", () => {
    for (const ops of [[], [request], [logout, logout], [event, logout], [login("A1")]]) {
      atEveryStep((step) =>
        program([
          command([], { env: "B1" }),
          command(ops, { env: ops.length === 0 ? "X1" : undefined }),
          command([event])
        ], { faults: [{ actor: 1, step, kind: "EIO", lasts: 1 }] }), 60)
    }
  })
})

describe("a credential", () => {
  it("that was switched outside since the command began is not taken for the former account's", () => {
    holds(program([
      { _tag: "Store", secret: "A1" },
      command([request]),
      { _tag: "Store", secret: "B1" },
      command([event])
    ], { turns: [0, 1, 2] }))
  })

  it("that is gone signs out the device that a validated login claimed", () => {
    holds(program([command([validatedLogin("A1")]), { _tag: "Lose" }, command([event]), command([])]))
  })
})
