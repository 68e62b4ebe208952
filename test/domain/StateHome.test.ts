import { assert, it } from "@effect/vitest"
import { posix, win32 } from "node:path"
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

const homes = ["/home/me/.acme", "/home/me/.acme/", "/home/me/../you//.acme", "/", "", "acme", "./acme"]
const windowsHomes = ["C:\\Users\\me\\acme", "C:/Users/me/acme/", "\\\\server\\share\\acme", "C:\\"]

for (
  const [path, home] of [
    ...homes.map((home) => [posix, home] as const),
    ...windowsHomes.map((home) => [win32, home] as const)
  ]
) {
  it(`The paths below the home "${home}" are normalized${path === win32 ? " on Windows" : ""}`, () => {
    const { identityFile, root, usage, ...below } = StateHome.make(path, home)
    assert.strictEqual(identityFile("usage.json"), path.join(home, "usage.json"))
    assert.strictEqual(root, home === "" ? "" : path.dirname(identityFile("usage.json")))
    assert.strictEqual(usage, path.join(home, "usage"))
    for (const file of Object.values(below)) assert.strictEqual(file, path.join(home, "usage", path.basename(file)))
  })
}
