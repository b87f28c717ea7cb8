namespace Glm.Models;

/// <summary>The <c>generation_config.json</c> beside a model: how its makers would have it generate (ChatGLM spec 13). What a file does not say is null.</summary>
public sealed record GenerationConfig
{
    /// <summary>The file's name.</summary>
    private const string FileName = "generation_config.json";

    /// <summary>Most tokens of the context and of what is generated together.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Whether tokens are drawn; otherwise the most probable one is taken.</summary>
    public bool? DoSample { get; init; }

    /// <summary>Only the most probable tokens that together reach this are drawn from; 0 to 1.</summary>
    public double? TopP { get; init; }

    /// <summary>Only so many of the most probable tokens are drawn from; 0 for all.</summary>
    public int? TopK { get; init; }

    /// <summary>Logits are divided by this before a draw.</summary>
    public double? Temperature { get; init; }

    /// <summary>The file of a model's directory; null if it has none, or if the model is a file.</summary>
    /// <exception cref="GlmException">It is damaged, or a number is impossible.</exception>
    public static GenerationConfig? Find(string model)
    {
        string path = Path.Combine(model, FileName);
        return File.Exists(path) ? ConfigJson.Read<GenerationConfig>(path).Validated(path) : null;
    }

    private GenerationConfig Validated(string path)
    {
        Require(MaxLength is null or > 0, "max_length", "1 or more", MaxLength);
        Require(TopP is null or (>= 0 and <= 1), "top_p", "0 to 1", TopP);
        Require(TopK is null or >= 0, "top_k", "0 or more", TopK);
        Require(Temperature is null or (>= 0 and <= 1e6), "temperature", "0 to 1000000", Temperature);
        return this;

        void Require(bool holds, string field, string expected, object? found)
        {
            if (!holds) throw new GlmException($"{path}: {field}: expected {expected}, found {found}");
        }
    }
}
