using System.ComponentModel;
using System.Diagnostics;

namespace Glm.Training.Tests;

/// <summary>A test that needs a program of the system; skipped where it is missing.</summary>
internal sealed class ToolFactAttribute : FactAttribute
{
    public ToolFactAttribute(string tool)
    {
        try
        {
            using Process process = Process.Start(new ProcessStartInfo(tool, "--version") { RedirectStandardOutput = true })!;
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
        }
        catch (Win32Exception)
        {
            Skip = $"the program '{tool}' is not installed";
        }
    }
}
