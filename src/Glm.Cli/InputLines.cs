using System.Text;

namespace Glm.Cli;

/// <summary>Text files that a command line names.</summary>
internal static class InputLines
{
    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The lines of a UTF-8 file.</summary>
    /// <exception cref="GlmException">It cannot be read, or is not UTF-8.</exception>
    public static IReadOnlyList<string> Read(string path)
    {
        try
        {
            return File.ReadAllLines(path, Strict);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new GlmException($"{path}: cannot be read: {error.Message}", error);
        }
        catch (DecoderFallbackException error)
        {
            throw new GlmException($"{path}: expected UTF-8, found other bytes", error);
        }
    }
}
