namespace Glm;

/// <summary>
/// The one exception that Glm.NET throws for what its user can mend: a file that is truncated or of the wrong shape, an
/// impossible configuration, an unknown token. The message names the file, the tensor or field, what was expected and what was
/// found; the command line prints it as its one line of reason, so line ends in what is quoted become blanks.
/// </summary>
public sealed class GlmException : Exception
{
    /// <summary>An error with its reason.</summary>
    public GlmException(string message) : base(message.ReplaceLineEndings(" ")) { }

    /// <summary>An error with its reason and the exception that caused it.</summary>
    public GlmException(string message, Exception inner) : base(message.ReplaceLineEndings(" "), inner) { }
}
