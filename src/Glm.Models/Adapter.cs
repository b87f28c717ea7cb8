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
}
