#!/usr/bin/env bash
# Runs every test in Release; --long runs the slow suites too. The last line is "N passed, N failed, N skipped".
set -u
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
case ${1-} in
  --long) export GLM_LONG=1 ;;
  '') ;;
  *) echo "usage: ./test.sh [--long]" >&2; exit 2 ;;
esac
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_CLI_UI_LANGUAGE=en

# Some tests compare with other programs; without one of these they are skipped.
missing=
for program in zstd xz spm_encode mpirun; do command -v "$program" >/dev/null || missing=1; done
if [ -n "$missing" ] && command -v apt-get >/dev/null; then
  as_root=
  [ "$(id -u)" = 0 ] || as_root='sudo -n'
  { $as_root apt-get update -q && $as_root apt-get install -q -y --no-install-recommends zstd xz-utils sentencepiece openmpi-bin; } >/dev/null 2>&1 </dev/null ||
    echo "test.sh: zstd, xz-utils, sentencepiece and openmpi-bin could not be installed; tests that need them are skipped" >&2
fi
# The official JavaScript client drives the server in a test; it lies outside of the repository.
if [ -z "${GLM_NODE_MODULES-}" ] && command -v npm >/dev/null; then
  clients=${XDG_CACHE_HOME:-$HOME/.cache}/glm-test-clients
  if [ ! -d "$clients/node_modules/openai" ]; then
    mkdir -p "$clients" && timeout 120 npm install --prefix "$clients" --ignore-scripts --no-audit --no-fund openai >/dev/null 2>&1 </dev/null ||
      echo "test.sh: the npm package openai could not be installed; the test that needs it is skipped" >&2
  fi
  export GLM_NODE_MODULES=$clients/node_modules
fi
if ! dotnet --list-sdks 2>/dev/null | grep -q '^10\.'; then
  echo "test.sh: the .NET 10 SDK is needed; it was not found (https://dotnet.microsoft.com/download, or: apt install dotnet-sdk-10.0)" >&2
  echo "0 passed, 0 failed, 0 skipped"
  exit 1
fi

# Each test project leaves one report here (tests/Directory.Build.props).
GLM_TEST_RESULTS=$(mktemp -d) || exit 1
export GLM_TEST_RESULTS
trap 'rm -rf "$GLM_TEST_RESULTS"' EXIT

dotnet test Glm.slnx --configuration Release --nologo -nodeReuse:false </dev/null
status=$?

echo
awk '
  function attribute(name) { return match($0, " " name "=\"[0-9]+\"") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 4) : 0 }
  /<UnitTestResult / { skipped = /outcome="NotExecuted"/; match($0, /testName="[^"]*"/); test = substr($0, RSTART + 10, RLENGTH - 11) }
  /<Message>/ && skipped { sub(/.*<Message>/, ""); sub(/<\/Message>.*/, ""); print "skipped " test ": " $0 }
  /<Counters / { passed += attribute("passed"); failed += attribute("failed") + attribute("error"); left += attribute("total") - attribute("executed") }
  END { print passed + 0, failed + 0, left + 0 }' "$GLM_TEST_RESULTS"/*.trx /dev/null 2>/dev/null |
  sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&amp;/\&/g' >"$GLM_TEST_RESULTS/summary"
sed '$d' "$GLM_TEST_RESULTS/summary" | sort -u
read -r passed failed skipped < <(tail -n 1 "$GLM_TEST_RESULTS/summary")
# A test host that dies leaves no count of what it did not run.
if [ "$status" != 0 ] && [ "${failed:-0}" = 0 ]; then
  echo "dotnet test ended with $status without naming a failed test: the build failed or a test host died" >&2
  failed=1
fi
echo "${passed:-0} passed, ${failed:-0} failed, ${skipped:-0} skipped"
[ "$status" = 0 ] && [ "${failed:-0}" = 0 ] && [ "${passed:-0}" -gt 0 ]
