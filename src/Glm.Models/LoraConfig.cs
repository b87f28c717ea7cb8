namespace Glm.Models;

/// <summary>The <c>adapter_config.json</c> of a LoRA adapter (ChatGLM spec 14.2); which matrices it changes is read from its tensors.</summary>
internal sealed record LoraConfig
{
    public required string PeftType { get; init; }

    /// <summary>The rank of every addition.</summary>
    public required int R { get; init; }

    public required double LoraAlpha { get; init; }

    /// <summary>Whether alpha is divided by the root of the rank, not by the rank.</summary>
    public bool UseRslora { get; init; }

    public string Bias { get; init; } = "none";

    public bool FanInFanOut { get; init; }

    public bool UseDora { get; init; }

    public IReadOnlyDictionary<string, double>? RankPattern { get; init; }

    public IReadOnlyDictionary<string, double>? AlphaPattern { get; init; }

    public IReadOnlyList<string>? ModulesToSave { get; init; }

    /// <summary>The factor of the additions.</summary>
    public double Scale => LoraAlpha / (UseRslora ? Math.Sqrt(R) : R);

    /// <exception cref="GlmException">The file cannot be read, or describes an adapter of another kind.</exception>
    public static LoraConfig Load(string path)
    {
        var config = ConfigJson.Read<LoraConfig>(path);
        var check = new FieldCheck(path);
        check.Require(config.PeftType == "LORA", "peft_type", "LORA", config.PeftType);
        check.RequireSize("r", config.R, 1 << 16);
        check.Require(double.IsFinite(config.LoraAlpha), "lora_alpha", "a number", config.LoraAlpha);
        check.Require(config.Bias == "none", "bias", "none", config.Bias);
        check.Require(!config.FanInFanOut, "fan_in_fan_out", false, config.FanInFanOut);
        check.Require(!config.UseDora, "use_dora", false, config.UseDora);
        check.Require(config.RankPattern is null or { Count: 0 }, "rank_pattern", "one rank for all", $"{config.RankPattern?.Count} others");
        check.Require(config.AlphaPattern is null or { Count: 0 }, "alpha_pattern", "one alpha for all", $"{config.AlphaPattern?.Count} others");
        check.Require(config.ModulesToSave is null or { Count: 0 }, "modules_to_save", "none", string.Join(", ", config.ModulesToSave ?? []));
        return config;
    }
}
