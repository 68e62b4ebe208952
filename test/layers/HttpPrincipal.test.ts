/**
 * What is made of the text of a credentials file.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Yaml from "effect/encoding/Yaml"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Credential from "../../src/domain/Credential.ts"
import * as HttpPrincipal from "../../src/layers/HttpPrincipal.ts"
import * as Fuzz from "../fixtures/Fuzz.ts"

const forms = [{ key: "cloud.api.key", base: "https://api.acme.test", path: "/me", principal: ["id"] }]

/** Parses a file; also tells which texts the parser of YAML was given. */
const parse = (text: string) => {
  const parsed: Array<string> = []
  const read = { files: [{ _tag: "Text", text }], variables: {}, configuration: "" } as const
  const credential = HttpPrincipal.parse(forms, read, (text) => {
    parsed.push(text)
    return Yaml.parse(text)
  })
  const secret = credential === undefined ? undefined : Redacted.value(credential.secret)
  return { source: credential?.source, secret, parsed }
}

const document = (key: string) => `cloud:\n  api:\n    key: ${key}\n`

it("The path of a form is below its base, also without a slash between them: it never changes the host", () => {
  const read = { files: [], variables: { KEY: "k1" }, configuration: "" }
  const audienceOf = (base: string, path: string) =>
    HttpPrincipal.parse([{ environment: "KEY", base, path, principal: ["id"] }], read, Yaml.parse)?.audience
  for (const base of ["https://api.acme.co", "https://api.acme.co/"]) {
    for (const path of ["m/me", "/m/me"]) assert.strictEqual(audienceOf(base, path), "https://api.acme.co/m/me id")
  }
  // A base that is the whole URL.
  for (const path of ["", "?a=b"]) {
    assert.strictEqual(audienceOf("https://api.acme.co/me", path), `https://api.acme.co/me${path} id`)
  }
})

describe("parser limits", () => {
  const slow: Readonly<Record<string, string>> = {
    "a long number that is none": document(`${"1".repeat(1001)}x`),
    "a long number with separators": document(`${"1_".repeat(501)}x`),
    "many blanks": document(`'a${" ".repeat(1001)}b'`),
    "many tabs": document(`"a${"\t".repeat(1001)}b"`),
    "many backslashes": document(`"${"\\".repeat(1001)}x\n  "`),
    "merge keys": `a: &a { b: 1 }\nl: &l [*a, *a]\nm:\n  <<: *l\n${document("k1")}`,
    "more than 32 KiB": document("k1") + "# a line\n".repeat(4096)
  }
  for (const [what, text] of Object.entries(slow)) {
    it(`A credentials file that is slow to parse as YAML is not parsed, and its credential is unreadable: ${what}`, () => {
      assert.deepStrictEqual(parse(text), { source: "stored", secret: "", parsed: [] })
    })
  }

  it("A credentials file within the bounds is parsed as YAML", () => {
    const fast = [document("k1") + "# a line\n".repeat(3600), `n: "${"1".repeat(1000)}x"\n${document("k1")}`]
    for (const text of fast) {
      assert.deepStrictEqual(parse(text), { source: "stored", secret: "k1", parsed: [text] })
    }
  })

  it("A credentials file of JSON is parsed without bounds", () => {
    const text = JSON.stringify({ cloud: { api: { key: "k1" } }, more: ["1".repeat(100_000), "<<"] })
    assert.deepStrictEqual(parse(text), { source: "stored", secret: "k1", parsed: [] })
  })
})

it("A credential is another one if the API or the place of the principal in its answer is another one", () => {
  const read = { files: [{ _tag: "Text", text: document("k1") }], variables: {}, configuration: "" } as const
  const keyOf = (change: object) => {
    const found = HttpPrincipal.parse(forms.map((form) => ({ ...form, ...change })), read, Yaml.parse)
    return found === undefined ? assert.fail() : Credential.key(found)
  }
  assert.strictEqual(keyOf({}), keyOf({}))
  for (const change of [{ base: "https://b.test" }, { path: "/you" }, { principal: ["account_id", "id"] }]) {
    assert.notStrictEqual(keyOf(change), keyOf({}))
  }
})

describe("arbitrary input", () => {
  const files = [
    document("k1"),
    `# of acme\ncloud: { api: { key: "k1" }, more: [1, 2.5, 0x1F, ~] }\n`,
    `a: &a {b: 1}\nc: *a\ncloud:\n  api:\n    key: >-\n      k1\n  list:\n    - 'x'\n    - y: |\n        z\n`,
    JSON.stringify({ cloud: { api: { key: "k1" }, coordinator: null } })
  ]

  it.prop(
    "Any credentials file has a readable credential, an unreadable one or none, and only YAML within the bounds is parsed",
    {
      bytes: Fuzz.bytes,
      file: Schema.Literals(files),
      mutation: Fuzz.mutations,
      repeat: Schema.Literals([1, 2, 50, 3000])
    },
    ({ bytes, file, mutation, repeat }) => {
      const repeated = { ...mutation, insert: mutation.insert.repeat(repeat).slice(0, 40_000) }
      for (const text of [bytes.toString(), Fuzz.mutate(file, mutation), Fuzz.mutate(file, repeated)]) {
        const { parsed, secret, source } = parse(text)
        assert.include([undefined, "stored"], source)
        if (source !== undefined) assert.isTrue(secret === "" || secret?.trim() !== "")
        for (const text of parsed) {
          assert.isAtMost(text.length, 32 * 1024)
          const runs = text.match(/[\d_]+|[ \t]+|\\+/g) ?? []
          assert.isAtMost(Math.max(0, ...runs.map((run) => run.length)), 1000)
        }
        Fuzz.assertSafe(undefined)
      }
    },
    { arbitrary: { runs: 500 } }
  )
})
