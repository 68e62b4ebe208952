/**
 * `npm run commits`: the subjects of the commits that `origin/main`, or the base of a pull request, does not have.
 */
import { spawnSync } from "node:child_process"
import * as Path from "node:path"
import { enforce, type Rule } from "./Rule.ts"

const maxLength = 72

const rule: Rule = {
  name: `a commit's subject has a scope and at most ${maxLength} characters`,
  why: "a list of subjects is how people find the commit that changed something, and git cuts longer ones",
  fix:
    "write it as \"outbox: keep messages that cannot be read\" with the reason in the body, by `git commit --amend` " +
    "or `git rebase -i`"
}

const isGood = (subject: string): boolean => /^[a-z][\w-]*: \S/.test(subject) && subject.length <= maxLength

const base = `origin/${process.env["GITHUB_BASE_REF"] || "main"}`
const log = spawnSync("git", ["log", "--no-merges", "--format=%h %s", `${base}..HEAD`], {
  cwd: Path.resolve(import.meta.dirname, ".."),
  encoding: "utf8"
})
if (log.status === 0) {
  enforce([[rule, log.stdout.split("\n").filter((line) => line !== "" && !isGood(line.slice(line.indexOf(" ") + 1)))]])
} else console.log(`There is no ${base} to compare with: commit subjects are not checked.`)
