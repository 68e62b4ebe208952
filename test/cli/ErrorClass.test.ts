import { assert, it } from "@effect/vitest"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Esbuild from "esbuild"
import * as ErrorClass from "../../src/cli/ErrorClass.ts"
import { test } from "../fixtures/Tests.ts"

class Tagged extends Schema.TaggedError<Tagged>()("@acme/cli/NotFound", {}) {}
class Identified extends Schema.Error<Identified>("acme/Identified")({}) {}
class Nameless extends Error {}
class Ranged extends RangeError {}
class Own extends Error {
  override name = "QuotaExceeded"
}
class WithData extends Data.Error<{ readonly name: string }> {}
class Plain {
  readonly name = "Plain"
}

const wrapping = (cause: unknown) => new Nameless("a secret", { cause })

const cases: ReadonlyArray<readonly [what: string, error: unknown, expected: string]> = [
  ["its tag", new Tagged({}), "@acme/cli/NotFound"],
  ["its tag before its name", Object.assign(new Own(), { _tag: "Tagged" }), "Tagged"],
  ["the name that it has as a property", new Own(), "QuotaExceeded"],
  ["the name that its class has as a property", new Identified({}), "acme/Identified"],
  ["the platform's class that it is", new TypeError(), "TypeError"],
  ["the platform's class that it extends", new Ranged(), "RangeError"],
  ["Error where it has no name", new Nameless(), "Error"],
  ["Error where it is no error", new Plain(), "Error"],
  ["Error where it is an array", [], "Error"],
  ["Error where it is a text", "Own", "Error"],
  ["what its cause says where it says nothing", wrapping(wrapping(new Own())), "QuotaExceeded"],
  ["DOMException where nothing says more", AbortSignal.abort().reason, "DOMException"],
  ["AggregateError where none of the errors says more", new AggregateError([1, new Nameless()]), "AggregateError"],
  [
    "what the first error of an aggregate says that says something",
    new AggregateError([undefined, new Nameless(), wrapping(new AggregateError([new Own()])), new Tagged({})]),
    "QuotaExceeded"
  ],
  [
    "what its errors say before its cause",
    new AggregateError([new Own()], "", { cause: new Tagged({}) }),
    "QuotaExceeded"
  ]
]
it.each(cases)("The class of an error is %s", (_, error, expected) => {
  assert.strictEqual(ErrorClass.ofError(error), expected)
})

it("The class of an error is never a text that an error may hold", () => {
  for (
    const text of ["no such file: /home/me/secret", "token=secret", "two words", "", "x".repeat(101), "my-project"]
  ) {
    const tag = text === "my-project" ? "two words" : text
    assert.strictEqual(ErrorClass.ofError(Object.assign(new TypeError(), { _tag: tag, name: text })), "TypeError")
    assert.strictEqual(ErrorClass.ofError(new WithData({ name: text })), "Error")
    assert.strictEqual(ErrorClass.ofError(text), "Error")
  }
})

it("The class of an error is Error where a part of it cannot be read", () => {
  const get = (): never => {
    throw new Error("it cannot be read")
  }
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  for (
    const error of [
      Object.defineProperty(new TypeError(), "_tag", { get }),
      Object.defineProperty(new Error(), "errors", { get }),
      Object.defineProperty(new Error(), "cause", { get }),
      proxy
    ]
  ) {
    assert.strictEqual(ErrorClass.ofError(error), "Error")
  }
})

it("The class of an error is found where aggregates and causes are rings", () => {
  const ring = new AggregateError([new Nameless()])
  ring.cause = ring
  ring.errors.unshift(ring)
  assert.strictEqual(ErrorClass.ofError(ring), "AggregateError")
  ring.errors.push(new Own())
  assert.strictEqual(ErrorClass.ofError(ring), "QuotaExceeded")
})

test("The class of an error of a minified host is never a name that the bundler made up", function*() {
  const contents = `
        class QuotaExceeded extends Error {}
        class Ranged extends RangeError {}
        class NamedError extends Error { name = "NamedError" }
        class Derived extends Error { constructor() { super(); this.name = this.constructor.name } }
        class RootError extends Error { _tag = "RootError" }
        class Failed extends AggregateError {}
        export const errors = [
          new QuotaExceeded(), new Ranged(), new NamedError(), new Derived(), new RootError(),
          new AggregateError([new QuotaExceeded(), new NamedError()]), new Failed([new RootError()])
        ]`
  const [file] = Esbuild.buildSync({ stdin: { contents }, bundle: true, minify: true, write: false, format: "esm" })
    .outputFiles
  const url = `data:text/javascript,${encodeURIComponent(file?.text ?? "")}`
  const host: { readonly errors: ReadonlyArray<Error> } = yield* Effect.promise(() => import(/* @vite-ignore */ url))
  assert.isTrue(host.errors.every((error) => error.constructor.name !== "QuotaExceeded"))
  const classes = host.errors.map(ErrorClass.ofError).join(" ")
  assert.strictEqual(classes, "Error RangeError NamedError Error RootError NamedError RootError")
})
