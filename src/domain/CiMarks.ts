/**
 * The variables that a CI system may leave in the environment.
 *
 * @since 0.1.0
 */

// Every variable that ci-info 4.5 looks at. Which system it is, and whether it is one at all, is for the library to say.
const variables = "AC_APPCIRCLE AGOLA_GIT_REF ALPIC_HOST APPCENTER_BUILD_ID APPVEYOR BITBUCKET_COMMIT BITRISE_IO " +
  "BUDDY_WORKSPACE_ID BUILDER_OUTPUT BUILDKITE BUILD_ID BUILD_NUMBER CAPAWESOME_CLOUD CF_BUILD_ID CF_PAGES CI " +
  "CIRCLECI CIRRUS_CI CI_APP_ID CI_BUILD_ID CI_BUILD_NUMBER CI_NAME CI_XCODE_PROJECT CM_BUILD_ID CODEBUILD_BUILD_ARN " +
  "CONTINUOUS_INTEGRATION DRONE DSARI EARTHLY_CI EAS_BUILD GERRIT_PROJECT GITEA_ACTIONS GITHUB_ACTIONS GITLAB_CI " +
  "GO_PIPELINE_LABEL HARNESS_BUILD_ID HUDSON_URL JENKINS_URL LAYERCI MAGNUM NETLIFY NEVERCODE NODE NOW_BUILDER " +
  "PROW_JOB_ID RELEASE_BUILD_ID RENDER RUN_ID RWX SAILCI SCREWDRIVER SEMAPHORE STRIDER TASK_ID TEAMCITY_VERSION " +
  "TF_BUILD TRAVIS VELA VERCEL WORKERS_CI XCS bamboo_planKey"

/**
 * Whether ci-info need be asked: it evaluates what it knows of 55 systems when it is loaded, and most commands run in
 * none of them.
 *
 * @category getters
 * @since 0.1.0
 */
export const any = (environment: Readonly<Record<string, string | undefined>>): boolean => {
  const marks = new Set(variables.split(" "))
  return Object.keys(environment).some((name) => marks.has(name))
}
