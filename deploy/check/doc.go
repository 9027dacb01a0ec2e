// Package check holds tests of what is in deploy, and of the alerts and the dashboard in docs:
// each file is read by what knows its form, and the fleet of compose.yaml runs, on loopback, with
// the programs that the images hold. The images themselves are not built or fetched.
package check
