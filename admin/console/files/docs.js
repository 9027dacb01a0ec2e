// The key that somebody gives the viewer stays in its memory: it goes with the page.
const dark = matchMedia('(prefers-color-scheme: dark)')
const paint = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', paint)
paint()

// What the viewer lacks for those who do not see it; and no choice of servers, as it asks the
// one that it comes from.
const adapted = {
  components: { ServersContainer: () => null },
  wrapComponents: {
    TextArea: (Original, { React }) => (props) => React.createElement(Original, { 'aria-label': 'Body', ...props }),
  },
}

SwaggerUIBundle({
  url: '/openapi.json',
  dom_id: '#description',
  plugins: [adapted],
  deepLinking: false, // they would be links within buttons
  syntaxHighlight: false,
  validatorUrl: null, // it would ask another server
  persistAuthorization: false,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
})
