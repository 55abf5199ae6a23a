/** The home page of the project, where the runbooks are. */
export const homePage = 'https://example.com/enos-credential-operator'
