using Glm.Distributed;
using System.CommandLine;
using System.Globalization;
using Glm.Tensors;

namespace Glm.Cli;

/// <summary>Options that several commands share, so that each means and is checked the same everywhere.</summary>
internal static class Options
{
    public static Option<bool> Json() => new("--json") { Description = "Write one JSON object on standard output and nothing else" };

    public static Option<bool> Quiet() => new("--quiet") { Description = "No progress on standard error" };

    public static Option<int> Threads() => Number("--threads", "N", "Threads to compute with", Math.Max(1, Environment.ProcessorCount / MpiJob.RanksHere), 1, 1024);

    public static Option<ulong> Seed() => Number<ulong>("--seed", "N", "Key of the random numbers: same seed, same result", 1234, 0, ulong.MaxValue);

    public static Option<string> Model() => new("--model") { HelpName = "PATH", Description = "Directory or GGUF file of a model (default: the one that ships)" };

    public static Option<string?> Adapter() => new("--adapter")
    {
        HelpName = "PATH",
        Description = "Directory of an adapter of the model: LoRA as PEFT saves it (adapter_config.json), or P-Tuning v2 (pytorch_model.bin with a prefix encoder)",
    };

    public static Option<string?> OtherTokenizer() => new("--tokenizer") { HelpName = "PATH", Description = "Tokenizer file, or directory or GGUF file that holds one, of models that have none of their own" };

    public static Option<string> Tokenizer() => new("--tokenizer", "--model") { HelpName = "PATH", Description = "Tokenizer file, directory that holds one, or GGUF file (default: the shipped model's)" };

    public static Option<string> OutputFolder(string description) => new("--output") { HelpName = "FOLDER", Description = description, Required = true };

    public static Option<string> TextField() => new("--text-field") { HelpName = "NAME", Description = "Field of a JSON line that holds the text", DefaultValueFactory = _ => "text" };

    public static Option<string> Newlines() => new Option<string>("--newlines")
    {
        HelpName = "keep|drop",
        Description = "Whether GLM-130B's own tokenizer keeps newlines; the original drops them",
        DefaultValueFactory = _ => "drop",
    }.AcceptOnlyFromAmong("keep", "drop");

    /// <summary>What inputs of quantised matrices are rounded to.</summary>
    public static Option<string?> Activations() => new Option<string?>("--activations")
    {
        HelpName = "16|int8",
        Description = "Inputs of quantised matrices: 16 bits, or 8 (default: 8 for block formats such as Q4_0, 16 for rows, as the paper has it)",
    }.AcceptOnlyFromAmong("16", "int8");

    /// <summary>The bits that <see cref="Activations"/> stands for.</summary>
    public static int? InputBits(string? activations) => activations switch { "16" => 16, "int8" => 8, _ => null };

    /// <summary>How keys and values are kept where nobody asks for something else.</summary>
    public const DType DefaultCacheType = DType.BFloat16;

    private static Dictionary<string, DType> CacheTypes { get; } = new() { ["bf16"] = DType.BFloat16, ["int8"] = DType.Int8, ["fp32"] = DType.Float32 };

    /// <summary>How keys and values of past tokens are kept.</summary>
    public static Option<string> KvCache() => new Option<string>("--kv-cache")
    {
        HelpName = string.Join('|', CacheTypes.Keys),
        Description = "Keys and values of past tokens: bf16, int8 (half as large, a scale for each token and head), or fp32",
        DefaultValueFactory = _ => CacheName(DefaultCacheType),
    }.AcceptOnlyFromAmong([.. CacheTypes.Keys]);

    /// <summary>The type that a value of <see cref="KvCache"/> stands for.</summary>
    public static DType CacheType(string? name) => CacheTypes[name!];

    /// <summary>The value of <see cref="KvCache"/> that stands for a type.</summary>
    public static string CacheName(DType type) => CacheTypes.First(entry => entry.Value == type).Key;

    /// <summary>Memory that the process may take.</summary>
    public static Option<long?> Memory() => new("--memory")
    {
        HelpName = "SIZE",
        Description = "Memory to run in, such as 4GB or 900MiB: weights that do not fit are read from disk for every token (default: all weights stay in memory)",
        CustomParser = result =>
        {
            string word = result.Tokens[^1].Value;
            if (Units.TryParseBytes(word, out long bytes) && bytes > 0) return bytes;
            result.AddError($"--memory: expected a size such as 4GB or 900MiB, found {word}");
            return null;
        },
    };

    /// <summary>An option that takes a number within bounds.</summary>
    public static Option<T> Number<T>(string name, string help, string description, T standard, T least, T most) where T : struct, IComparable<T>, IParsable<T> => new(name)
    {
        HelpName = help,
        Description = description,
        DefaultValueFactory = _ => standard,
        CustomParser = result =>
        {
            string word = result.Tokens[^1].Value;
            if (T.TryParse(word, CultureInfo.InvariantCulture, out var value) && value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0) return value;
            result.AddError($"{name}: expected a number from {least} to {most}, found {word}");
            return default;
        },
    };

    /// <summary>The text of a command: words on the command line are joined by spaces; <c>-</c>, or none and no person at the input, reads it.</summary>
    public static Argument<string[]> Text(string description) => new("TEXT") { Description = description, Arity = ArgumentArity.ZeroOrMore };
}
