/** The coding agent that runs a command, by the marks that it leaves in the environment. */

type Environment = Readonly<Record<string, string | undefined>>

// A variable that is set, or one whose value has a mark in it.
type Mark = string | readonly [variable: string, mark: RegExp]

// Those of std-env 4.3, in its order; its own table comes with more than agents, and is read before anybody asks.
const agents: ReadonlyArray<readonly [name: string, marks: ReadonlyArray<Mark>]> = [
  ["claude", ["CLAUDECODE", "CLAUDE_CODE"]],
  ["replit", ["REPL_ID"]],
  ["gemini", ["GEMINI_CLI"]],
  ["codex", ["CODEX_SANDBOX", "CODEX_THREAD_ID"]],
  ["opencode", ["OPENCODE"]],
  ["pi", [["PATH", /\.pi[\\/]agent/]]],
  ["auggie", ["AUGMENT_AGENT"]],
  ["goose", ["GOOSE_PROVIDER"]],
  ["junie", ["JUNIE_DATA", "JUNIE_SHIM_PATH"]],
  ["copilot", ["COPILOT_AGENT", "COPILOT_CLI"]],
  ["devin", [["EDITOR", /devin/]]],
  ["cursor", ["CURSOR_AGENT"]],
  ["kiro", [["TERM_PROGRAM", /kiro/]]]
]

/** The variables that are looked at. */
export const variables: ReadonlyArray<string> = [
  "AI_AGENT",
  ...agents.flatMap(([, marks]) => marks.map((mark) => typeof mark === "string" ? mark : mark[0]))
]

const aliases: Environment = { github_copilot_vscode_agent: "copilot", github_copilot_cloud_agent: "copilot" }

const isAgent = (name: string | undefined): boolean => agents.some(([agent]) => agent === name)

/**
 * The agent's name, `"other"` for one that is not known, undefined where there is none.
 *
 * `AI_AGENT` may hold anything, and no value of a variable leaves the machine: it only chooses among the known names.
 */
export const detect = (env: Environment, stdoutIsTerminal: boolean): string | undefined => {
  const given = env["AI_AGENT"]?.toLowerCase()
  if (given !== undefined && given !== "") {
    const name = Object.hasOwn(aliases, given) ? aliases[given] : given
    return isAgent(name) ? name : "other"
  }
  const has = (mark: Mark): boolean => typeof mark === "string" ? !!env[mark] : mark[1].test(env[mark[0]] ?? "")
  // A person types into Kiro's terminal, too; its agent has none.
  return agents.find(([name, marks]) => !(name === "kiro" && stdoutIsTerminal) && marks.some(has))?.[0]
}
