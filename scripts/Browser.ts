/**
 * The browser of this machine: the page of the sink is tested and drawn in it.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"
import { type Browser, chromium } from "playwright-core"

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"]

/** Returns the Chromium on the path; undefined where there is none. */
export const find = (): string | undefined =>
  (process.env["PATH"] ?? "").split(Path.delimiter)
    .flatMap((folder) => names.map((name) => Path.join(folder, name)))
    .find((file) => Fs.existsSync(file))

/** Starts a browser. Chromium has no sandbox for root. */
export const launch = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, chromiumSandbox: process.getuid?.() !== 0 })
