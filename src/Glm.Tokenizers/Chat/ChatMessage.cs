using System.Text.Json.Nodes;

namespace Glm.Tokenizers;

/// <summary>Who speaks in a chat.</summary>
public enum ChatRole
{
    /// <summary>Instructions, before everything else.</summary>
    System,
    /// <summary>The person.</summary>
    User,
    /// <summary>The model.</summary>
    Assistant,
    /// <summary>A tool that the model called.</summary>
    Observation,
}

/// <summary>One message of a chat.</summary>
/// <param name="Role">Who speaks.</param>
/// <param name="Content">What is said; always text, whatever names of special tokens it spells.</param>
public sealed record ChatMessage(ChatRole Role, string Content)
{
    /// <summary>What stands on the line of the role: of an assistant's message, the name of the tool that it calls. Empty for ordinary messages.</summary>
    public string Metadata { get; init; } = "";

    /// <summary>The tools that a system message announces, as the model's documentation writes them.</summary>
    public JsonNode? Tools { get; init; }
}
