/** The coding agent that runs a command, found by the variables that it sets. */

type Environment = Readonly<Record<string, string | undefined>>

// A variable that is set, or a variable whose value contains one of the texts.
type Mark = string | readonly [variable: string, ...texts: ReadonlyArray<string>]

// The agents of std-env 4.3, in its order. std-env itself detects more than agents, and does so when it is loaded.
const agents: ReadonlyArray<readonly [name: string, marks: ReadonlyArray<Mark>]> = [
  ["claude", ["CLAUDECODE", "CLAUDE_CODE"]],
  ["replit", ["REPL_ID"]],
  ["gemini", ["GEMINI_CLI"]],
  ["codex", ["CODEX_SANDBOX", "CODEX_THREAD_ID"]],
  ["opencode", ["OPENCODE"]],
  ["pi", [["PATH", ".pi/agent", ".pi\\agent"]]],
  ["auggie", ["AUGMENT_AGENT"]],
  ["goose", ["GOOSE_PROVIDER"]],
  ["junie", ["JUNIE_DATA", "JUNIE_SHIM_PATH"]],
  ["copilot", ["COPILOT_AGENT", "COPILOT_CLI"]],
  ["devin", [["EDITOR", "devin"]]],
  ["cursor", ["CURSOR_AGENT"]],
  ["kiro", [["TERM_PROGRAM", "kiro"]]]
]

/** The variables that `detect` reads. */
export const variables: ReadonlyArray<string> = [
  "AI_AGENT",
  ...agents.flatMap(([, marks]) => marks.map((mark) => typeof mark === "string" ? mark : mark[0]))
]

const aliases: Environment = { github_copilot_vscode_agent: "copilot", github_copilot_cloud_agent: "copilot" }

const isAgent = (name: string | undefined): boolean => agents.some(([agent]) => agent === name)

/**
 * Returns the name of the agent; `"other"` for an unknown agent, undefined without an agent.
 *
 * `AI_AGENT` may have any value. The value itself is never returned: it only selects one of the known names.
 */
export const detect = (env: Environment, stdoutIsTerminal: boolean): string | undefined => {
  const value = env["AI_AGENT"]?.toLowerCase()
  if (value !== undefined && value !== "") {
    const name = Object.hasOwn(aliases, value) ? aliases[value] : value
    return isAgent(name) ? name : "other"
  }
  for (const [name, marks] of agents) {
    // A person may also use Kiro's terminal. Kiro's agent has no terminal.
    if (name === "kiro" && stdoutIsTerminal) continue
    for (const mark of marks) {
      if (typeof mark === "string") {
        if (env[mark]) return name
        continue
      }
      const [variable, ...texts] = mark
      for (const text of texts) if (env[variable]?.includes(text)) return name
    }
  }
  return undefined
}
