import { assert, it } from "@effect/vitest"
import * as StateHome from "../../src/domain/StateHome.ts"

const unix = { HOME: "/home/me/" }
const windows = { USERPROFILE: "C:\\Users\\me", LOCALAPPDATA: "D:\\Local\\" }

const table: ReadonlyArray<readonly [string, Parameters<typeof StateHome.ofPlatform>[1], string]> = [
  ["Linux", unix, "/home/me/.local/state/acme"],
  ["Linux", { ...unix, XDG_STATE_HOME: "/state//" }, "/state/acme"],
  ["Linux", { ...unix, XDG_STATE_HOME: "state" }, "/home/me/.local/state/acme"],
  ["Linux", windows, ""],
  ["Darwin", unix, "/home/me/Library/Application Support/acme"],
  ["Darwin", { XDG_STATE_HOME: "/state" }, "/state/acme"],
  ["Windows_NT", windows, "D:\\Local\\acme"],
  ["Windows_NT", { USERPROFILE: "C:\\Users\\me\\" }, "C:\\Users\\me\\AppData\\Local\\acme"],
  ["Windows_NT", { ...windows, LOCALAPPDATA: "Local" }, "C:\\Users\\me\\AppData\\Local\\acme"],
  ["Windows_NT", { ...windows, XDG_STATE_HOME: "E:/state" }, "E:/state\\acme"],
  ["Windows_NT", { ...windows, XDG_STATE_HOME: "\\\\server\\share" }, "\\\\server\\share\\acme"],
  ["Windows_NT", unix, ""]
]

for (const [system, variables, folder] of table) {
  it(`The platform's folder for state is ${folder === "" ? "empty" : folder} on ${system} by ${JSON.stringify(variables)}`, () => {
    assert.strictEqual(StateHome.ofPlatform(system, variables, "acme"), folder)
  })
}
