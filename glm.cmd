@echo off
rem Runs the glm command; an incremental build, quick when nothing changed, comes first.
setlocal
set DOTNET_CLI_TELEMETRY_OPTOUT=1
set DOTNET_NOLOGO=1
where dotnet >nul 2>nul || (echo glm: the .NET 10 SDK is needed; it was not found 1>&2 & exit /b 1)
dotnet build "%~dp0src\Glm.Cli" --configuration Release --nologo --verbosity quiet -clp:NoSummary 1>&2 || exit /b 1
dotnet "%~dp0src\Glm.Cli\bin\Release\net10.0\Glm.Cli.dll" %*
exit /b %ERRORLEVEL%
