namespace Glm.Cli;

/// <summary>The command line asks for something that cannot be meant, found after parsing.</summary>
internal sealed class UsageException(string message) : Exception(message);
