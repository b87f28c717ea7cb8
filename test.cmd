@echo off
rem Runs every test; "test --long" runs the slow ones too.
setlocal
if "%1"=="--long" set GLM_LONG=1
dotnet test "%~dp0Glm.slnx" --configuration Release --nologo
exit /b %ERRORLEVEL%
