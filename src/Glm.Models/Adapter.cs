using System.Text.Json.Nodes;
using Glm.Formats;
using Glm.Tensors;

namespace Glm.Models;

/// <summary>
/// Adapters in the layouts that others save them in (ChatGLM spec 14): a folder of the PEFT library with a LoRA adapter, or one with the prefix encoder of P-Tuning v2.
/// </summary>
public static class Adapter
{
    /// <summary>The file of PEFT's configuration.</summary>
    private const string ConfigFile = "adapter_config.json";

    private static readonly string[] WeightFiles = ["adapter_model.safetensors", "adapter_model.bin"];

    /// <summary>A model with an adapter.</summary>
    /// <param name="path">The adapter's directory.</param>
    /// <param name="model">The model, which stays as it is.</param>
    /// <param name="workers">Threads to compute with.</param>
    /// <param name="merge">Whether floating-point matrices take a LoRA adapter in, in memory of their own; otherwise, and beside quantised ones, it stays an addition to their products.</param>
    /// <exception cref="GlmException">There is no adapter, it is damaged, of another kind, or of another model.</exception>
    public static LanguageModel Apply(string path, LanguageModel model, Workers workers, bool merge = true)
    {
        if (!Directory.Exists(path)) throw new GlmException($"{path}: expected the directory of an adapter, found none");
        string config = Path.Combine(path, ConfigFile);
        if (!File.Exists(config)) return PrefixEncoder.Apply(TensorStore.Open(path), model, workers);
        var lora = LoraConfig.Load(config);
        string file = WeightFiles.Select(name => Path.Combine(path, name)).FirstOrDefault(File.Exists)
            ?? throw new GlmException($"{path}: expected {string.Join(" or ", WeightFiles)} beside {ConfigFile}, found neither");
        return new LoraAdapter(TensorStore.Open(file), lora, model).Apply(workers, merge);
    }

    /// <summary>Whether P-Tuning v2 is there for a model's architecture.</summary>
    public static bool TakesVirtualTokens(LanguageModel model) => PrefixEncoder.Fits(model);

    /// <summary>Saves a LoRA adapter as PEFT does, into a new directory.</summary>
    /// <param name="path">The directory.</param>
    /// <param name="additions">The additions by the name of the parameter that they change, all of one rank.</param>
    /// <exception cref="GlmException">The directory is not empty, or cannot be written.</exception>
    public static void SaveLora(string path, IReadOnlyDictionary<string, LowRank> additions) => Save(path, folder =>
    {
        int rank = additions.Values.First().Down.Rows;
        var entries = additions.SelectMany(addition => new[] { ("A", addition.Value.Down), ("B", addition.Value.Up) }.Select(half =>
            new TensorEntry($"base_model.model.{Module(addition.Key)}.lora_{half.Item1}.weight", DType.Float32, half.Item2.Shape.ToArray(), () => half.Item2)));
        SafetensorsWriter.Write(Path.Combine(folder, WeightFiles[0]), [.. entries], new Dictionary<string, string> { ["format"] = "pt" });
        var config = new JsonObject
        {
            ["peft_type"] = "LORA", ["task_type"] = "CAUSAL_LM", ["r"] = rank, ["lora_alpha"] = rank, ["lora_dropout"] = 0.0, ["bias"] = "none", ["fan_in_fan_out"] = false,
            ["target_modules"] = new JsonArray([.. additions.Keys.Select(name => Module(name).Split('.')[^1]).Distinct().Select(target => JsonValue.Create(target))]),
        };
        AtomicFile.Write(Path.Combine(folder, ConfigFile), stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(config.ToJsonString())));
    });

    /// <summary>Saves virtual tokens as P-Tuning v2 does, without a projection, into a new directory.</summary>
    /// <exception cref="GlmException">The directory is not empty, or cannot be written.</exception>
    public static void SaveVirtualTokens(string path, LanguageModel model, VirtualTokens tokens) => Save(path, folder => PrefixEncoder.Save(folder, model, tokens));

    private static string Module(string parameter) => parameter[..^".weight".Length];

    private static void Save(string path, Action<string> write)
    {
        RequireFree(path);
        AtomicDirectory.Write(path, write);
    }

    /// <summary>Refuses a directory that is not empty: nothing is replaced.</summary>
    /// <exception cref="GlmException">It is not.</exception>
    public static void RequireFree(string path)
    {
        if (File.Exists(path) || (Directory.Exists(path) && Directory.EnumerateFileSystemEntries(path).Any())) throw new GlmException($"{path}: expected nothing, or an empty directory to write to, found content");
    }
}
