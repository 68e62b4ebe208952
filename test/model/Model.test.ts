import { assert, describe, it } from "@effect/vitest"
import * as Check from "./Check.ts"
import * as Program from "./Program.ts"

const seeds = 500

const seedFrom = (text: string | undefined): number => {
  const seed = Number(text ?? "1")
  return Number.isSafeInteger(seed) ? seed : 1
}

const seed = seedFrom(process.env["MODEL_SEED"])

// == programs

const { command, event, login, logout, request, stores } = Program
const loses: Program.Actor = { _tag: "Lose" }
const links = (principal: string): Program.Actor => ({ _tag: "Link", principal })
const replaces: Program.Actor = { _tag: "Replace" }
const truncates: Program.Actor = { _tag: "Truncate" }
const drains = (taken: boolean): Program.Actor => ({ _tag: "Drain", taken })
const disables: Program.Actor = { _tag: "Disable" }
const enables: Program.Actor = { _tag: "Enable" }
const months: Program.Actor = { _tag: "Wait", minutes: 91 * 24 * 60 }

const records = command([event])
const logsIn = command([login("A1")])
const logsInAsB = command([login("B1")])
const logsOut = command([logout])

/** A program in which the actors have the given turns, and then one after the other. */
const program = (
  actors: ReadonlyArray<Program.Actor>,
  turns = "",
  more: Partial<Program.Program> = {}
): Program.Program => ({
  seed: 1,
  initial: "empty",
  hasLinks: true,
  actors,
  turns: turns.split(" ").filter((turn) => turn !== "").map(Number),
  switches: [],
  faults: [],
  ...more
})

const onDevice = { initial: "identity" } as const

const holds = (program: Program.Program): Check.Counts => {
  const { counts, violation } = Check.attempt(program)
  if (violation !== undefined) assert.fail(`${violation.rule}: ${violation.detail}\n${Program.show(program)}`)
  return counts
}

/** Codes with which a read is refused: any operation may be refused with the one, and an open alone with the other. */
const unreadable = ["EIO", "EMFILE"] as const

describe("random schedules", () => {
  it(`Random programs of several processes break no rule, for ${seeds} seeds from ${seed} on`, () => {
    const { counterexample, counts } = Check.run(seed, seeds)
    if (counterexample !== undefined) assert.fail(`MODEL_SEED=${seed}\n${Check.show(counterexample)}`)
    // Rules about what never happens would hold too.
    for (const [what, count] of Object.entries(counts)) assert.isAbove(count, 10, what)
    assert.isAbove(counts.steady / counts.events, 0.2)
    assert.isAbove(counts.twins, seeds)
  })

  it("A seed always makes the same programs and the same runs", () => {
    for (const make of [Program.make, Program.makeSequential]) {
      for (const seed of [1, 2, 3]) {
        assert.deepStrictEqual(make(seed), make(seed))
        assert.deepStrictEqual(Check.attempt(make(seed)), Check.attempt(make(seed)))
      }
    }
  })
})

// == programs in which one thing happens at each step of an actor

interface AtEachStep {
  readonly title: string
  readonly at: {
    readonly actor: number
    readonly kinds: ReadonlyArray<Program.Fault["kind"]>
    readonly lasts?: ReadonlyArray<number>
  }
  readonly programs: ReadonlyArray<Program.Program>
  readonly maxRotations?: number
}

/** A command goes on with an anon id, after another one has rotated it and another tool has linked the newer one. */
const linksNewer = program(
  [command([event], { env: "A2" }), command([logout], { env: "X1" }), links("acct_b"), stores("A2"), records],
  "0 1 0 1 2 0 3",
  { initial: "empty" }
)

const atEachStep: ReadonlyArray<AtEachStep> = [
  {
    title: "A login that cannot store its key does not give the current key its account",
    at: { actor: 1, kinds: unreadable },
    programs: [program([stores("B1"), command([login("A1", true)], { api: "hangs" }), records])]
  },
  {
    title: "A login that is killed leaves no command under its account's name",
    at: { actor: 1, kinds: ["kill"] },
    programs: (["input", "own"] as const).map((resolver) =>
      program([
        stores("B1"),
        command([login("A1", true)], { api: "hangs", resolver }),
        records,
        logsInAsB,
        records
      ])
    )
  },
  {
    title: "A login in the middle of another account's login aliases the device once",
    at: { actor: 0, kinds: ["suspend"], lasts: [2, 3] },
    programs: [program([command([event, login("A1")]), logsInAsB, drains(false), records], "0 0 0 1 1 1 2")]
  },
  {
    title: "A command that reads whom the device belongs to does not undo a login in the middle of that",
    at: { actor: 2, kinds: ["suspend"], lasts: [3] },
    programs: (["input", "own"] as const).map((resolver) =>
      program([stores("A1"), records, command([event], { resolver }), logsInAsB, records], "0 1 1 1 2 2 3 3 3 2")
    ),
    // The login gives the device a new anon id, and nothing else does.
    maxRotations: 1
  },
  {
    title: "A logout is not undone by a response to a request that was under way",
    at: { actor: 1, kinds: ["suspend"], lasts: [3] },
    programs: [program([stores("A1"), command([request]), logsOut, records, command([])], "0 1 1 2 2 2 1")]
  },
  {
    title: "A logout is not undone by a login that was suspended",
    at: { actor: 0, kinds: ["suspend"], lasts: [4] },
    programs: [program([command([login("A1"), event]), logsOut, drains(true), records], "0 0 1 1 1 2 0 0 3")]
  },
  {
    title: "A logout that is killed does not mix the former account with the next one",
    at: { actor: 1, kinds: ["kill"] },
    programs: [
      program([logsIn, logsOut, records, logsInAsB, records]),
      program([command([event], { env: "A1" }), logsOut, records, logsInAsB, records])
    ]
  },
  {
    title: "Two overlapping logouts leave no later event under the former account",
    at: { actor: 1, kinds: ["suspend"], lasts: [1, 2, 3] },
    programs: [program([logsIn, logsOut, logsOut, records], "0 0 0 1 2 1 2 2")]
  },
  {
    title: "A logout with an identity file that is rewritten late forgets the account also after months",
    at: { actor: 1, kinds: unreadable },
    programs: [program([logsIn, logsOut, months, logsInAsB, logsOut, records])]
  },
  {
    // Another tool writes back the identity file that it read before a logout.
    title: "A command that cannot read a successor does not go back to the former anon id",
    at: { actor: 2, kinds: unreadable },
    programs: [
      program([links("acct_a"), command([request, logout], { env: "B1" }), records], "0", {
        ...onDevice,
        faults: [{ actor: 0, step: 0, kind: "suspend", lasts: 4 }]
      })
    ]
  },
  {
    title: "An identity file that is replaced in the middle of a read is not taken for an unusable one",
    at: { actor: 1, kinds: ["suspend"] },
    programs: [program([logsIn, command([event, logout])], "0 1 1 0 1", onDevice)]
  },
  {
    title: "A command keeps its events when another tool links or replaces the anon id",
    at: { actor: 1, kinds: ["suspend"] },
    programs: [links("acct_a"), links("acct_b"), replaces].flatMap((tool) =>
      [[event, request, event], [event, login("A1"), event], [logout, event]].map((ops) =>
        program([stores("A1"), command(ops), tool, drains(true), records], "0 1 1 1 1 1", onDevice)
      )
    )
  },
  {
    title: "A worker that looks in the middle of a login sends its alias before its events",
    at: { actor: 0, kinds: ["suspend"], lasts: [2, 3, 4] },
    programs: [program([drains(false), command([login("A1"), event]), records], "2 2 2 0 1 1 1 1 0", onDevice)]
  },
  {
    title: "A worker that cannot read a file sends no event before its alias, and loses none",
    at: { actor: 2, kinds: unreadable },
    programs: [program([command([event, login("A1"), event]), records, drains(true)], "", onDevice)]
  },
  {
    title: "A command that goes on with a rotated anon id, and cannot read a file, keeps the link of another tool",
    at: { actor: 0, kinds: unreadable },
    programs: [linksNewer]
  },
  {
    title: "A second logout that cannot read one file ends the account of another process all the same",
    at: { actor: 1, kinds: ["EACCES"] },
    programs: [
      program([command([], { env: "B1" }), command([logout, logout]), command([], { env: "A1" })], "0 0 1 1 2 2")
    ]
  },
  {
    title: "A login that cannot read consent leaves the account of its key unchanged",
    at: { actor: 0, kinds: unreadable },
    programs: [program([command([login("A2"), request]), stores("X1"), records], "0 0 1 2 0")]
  },
  {
    title: "A response in a command that could not read consent at its begin does not name the account of a newer key",
    at: { actor: 1, kinds: ["EACCES"] },
    programs: [program([stores("A1"), command([request], { resolver: "own" }), stores("B1"), records], "0 1 2 1")]
  },
  {
    title: "A command that cannot read consent is not recorded under the account of the device",
    at: { actor: 1, kinds: ["EIO"] },
    programs: [
      ...[[request], [logout, logout], [event, logout], [login("A1")]].map((ops) => command(ops)),
      command([], { env: "X1" })
    ].map((second) => program([command([], { env: "B1" }), second, records]))
  }
]

describe("faults and interleavings", () => {
  for (const { at: { actor, kinds, lasts = [1] }, maxRotations = Infinity, programs, title } of atEachStep) {
    it(title, () => {
      const faults = kinds.flatMap((kind) => lasts.map((lasts) => ({ actor, kind, lasts })))
      for (const program of programs) {
        for (const fault of faults) {
          const at = (step: number) => holds({ ...program, faults: [...program.faults, { ...fault, step }] })
          let step = 0
          for (let counts = at(0); counts.faults > program.faults.length; counts = at(step += 1)) {
            assert.isAtMost(counts.rotations, maxRotations)
          }
          assert.isAbove(step, 5)
        }
      }
    })
  }
})

// == single programs

const response = { switches: [{ actor: 1, step: 1, to: 2 }, { actor: 0, step: 13, to: 1 }] }

const single: Readonly<Record<string, ReadonlyArray<Program.Program>>> = {
  "A login that validates its key under a variable's credential does not make that one its account's.": [
    program([command([login("A2", true)], { env: "B1" }), logsOut, command([], { env: "B1" })])
  ],
  "A response to a request with a former key does not make the new key its account's.": [
    program([logsInAsB, command([request]), stores("A1")], "1", response)
  ],
  "A response with an illegal id does not open the identity of a steady command.": [
    program([command([]), command([login("X1", true), event])])
  ],
  "A logout of a device that the resolver is still asked about is a logout.": (["up", "down", "hangs"] as const).map(
    (api) => program([stores("A1"), command([logout], { api }), command([])])
  ),
  "What another tool makes of the anon id between two operations is what the command acts on.": [
    links("acct_a"),
    links("acct_b"),
    replaces
  ].flatMap((tool) =>
    [[event, request], [request, event], [event, login("A1")], [event, logout, event]].flatMap((ops) =>
      ["0 1 2", "0 1 1 2", "0 1 1 1 2"].map((turns) =>
        program([stores("A1"), command(ops), tool, drains(true), records], turns, onDevice)
      )
    )
  ),
  "An anon id that another tool made after a logout stays, whatever an earlier command does then.": [
    [event],
    [event, login("B1")],
    [event, logout]
  ].map((ops) => program([stores("A1"), command(ops), logsOut, replaces, records], "0 1 2 1 2 3")),
  "A command that lived through an opt-out does not claim anew what it remembers.": [
    program(
      [command([event, request], { env: "B1", api: "down" }), logsIn, drains(true), disables, enables],
      "0 0 1 1 1 2 3 4 0 0"
    )
  ],
  "A command that lived through an opt-out records nothing of the deleted device.": (
    ["identity", "unusable", "empty"] as const
  ).flatMap((initial) =>
    [[], [event], [login("A1")]].map((next) =>
      program([command([event, event]), disables, enables, command(next)], "0 0 1 2 3 3 0 0", { initial })
    )
  ),
  "A command that began before an opt-out and its withdrawal records nothing.": (
    ["identity", "unusable", "empty"] as const
  ).flatMap((initial) =>
    [[event], [login("A1")], [logout, event]].map((ops) =>
      program([command(ops), disables, enables, records], "0 1 2 0 3", { initial })
    )
  ),
  "A login or logout of a command that lived through an opt-out ends another account's use of the device, without a resolver":
    [login("B1"), login("A1"), logout].flatMap((op) => {
      const none = { resolver: "none" } as const
      const others = [disables, enables, command([login("A1")], none), command([], none)]
      return [
        program([command([op], none), ...others], "0 1 2 3 3 0"),
        program([command([event, op], none), ...others], "0 0 1 2 3 3 0")
      ]
    }),
  "A credential that was switched outside since the command began is not taken for the former account's.": [
    program([stores("A1"), command([request]), stores("B1"), records], "0 1 2")
  ],
  "A credential that is gone signs out the device that a validated login claimed.": [
    program([command([login("A1", true)]), loses, records, command([])])
  ],
  "A stored credential of the account marks a claim from a variable as stored": [
    program([
      stores("A1"),
      command([]),
      replaces,
      command([], { env: "A2", resolver: "own" }),
      records,
      loses,
      records
    ])
  ],
  "A steady command uses the account of a credential that another process has learned since": [
    program([command([]), stores("A1"), command([], { api: "hangs" }), logsIn, command([])], "0 0 1 2 2 4 3 3 3 4")
  ],
  "A steady command that observed its account marks a claim from a variable as stored, although another tool replaces the anon id":
    [
      program([command([], { env: "A1" }), command([login("A1")]), replaces, command([request])], "1 1 3 3 2", {
        initial: "empty"
      })
    ],
  "The link of another tool stays, although a command goes on with the anon id that was rotated before": [linksNewer],
  "An event that waits for the answer keeps its session, although another tool replaces the anon id meanwhile": [
    program(
      [command([event, logout], { env: "A2", runtime: "ci" }), replaces, records, records],
      "2 0 2 0 3 1 3",
      { initial: "empty" }
    )
  ],
  "An event that waited for the answer does not end the session that another process has begun since": [
    program([replaces, command([event], { env: "A1", runtime: "pipe" }), command([])], "1 1 0 2 2")
  ],
  "A logout counts also if another process has logged in since its command began": [
    program(
      [
        stores("A2"),
        command([event, logout]),
        logsOut,
        command([], { env: "A1" }),
        command([login("A1")], { runtime: "container" })
      ],
      "0 3 1 2 3 2 4 4"
    )
  ],
  "A command without a resolver observes its account under an anon id that it made again after a deletion": [
    program(
      [
        command([event, logout, login("A1", true)], { resolver: "none" }),
        command([], { resolver: "none" }),
        { _tag: "Delete" }
      ],
      "1 0 1 0 2",
      { initial: "empty" }
    )
  ],
  "An anon id that was claimed and rotated during a command of three months is not claimed once more": [
    program(
      [logsIn, drains(true), logsOut, command([logout, login("A1", true)]), months],
      "3 3 0 0 4",
      { initial: "empty" }
    )
  ],
  "A logout in CI keeps an anon id that cannot be read again": [
    program(
      [
        command([event, logout], { resolver: "none", runtime: "ci" }),
        command([login("A2"), login("B1")], { resolver: "none" }),
        truncates
      ],
      "0 1 0 1 1 2",
      onDevice
    )
  ]
}

describe("regressions", () => {
  for (const [title, programs] of Object.entries(single)) it(title, () => programs.forEach(holds))
})
