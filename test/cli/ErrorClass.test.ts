import { assert, describe, it } from "@effect/vitest"
import * as ErrorClass from "../../src/cli/ErrorClass.ts"

const named = (name: string): object => {
  const constructor = function() {}
  Object.defineProperty(constructor, "name", { value: name })
  return Object.create({ constructor })
}

describe("the class of an error", () => {
  it("is its tag, else its constructor's name", () => {
    assert.strictEqual(ErrorClass.ofError({ _tag: "@acme/cli/NotFound" }), "@acme/cli/NotFound")
    assert.strictEqual(ErrorClass.ofError(named("NotFound")), "NotFound")
  })

  for (const text of ["no such file: /home/me/secret", "token=secret", "two words", "", "x".repeat(101)]) {
    it(`is never a text: ${JSON.stringify(text.slice(0, 40))}`, () => {
      const error = Object.assign(new TypeError(), { _tag: text })
      assert.strictEqual(ErrorClass.ofError(error), "TypeError")
      assert.strictEqual(ErrorClass.ofError(named(text)), "Error")
      assert.strictEqual(ErrorClass.ofError(text), "Error")
    })
  }

  const refuse = (): never => {
    throw new Error("nobody may ask")
  }
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  for (
    const [what, error] of [
      ["a tag", Object.defineProperty(new TypeError(), "_tag", { get: refuse })],
      ["a constructor", Object.defineProperty(new TypeError(), "constructor", { get: refuse })],
      ["a cause", Object.defineProperty(new Error(), "cause", { get: refuse })],
      ["anything", proxy]
    ] as const
  ) {
    it(`is Error where ${what} cannot be asked for`, () => {
      assert.strictEqual(ErrorClass.ofError(error), "Error")
    })
  }
})
