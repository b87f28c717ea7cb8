using System.Text.Json;
using Glm.Formats;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>Windows and losses of texts against the original's language-modelling task.</summary>
public sealed class LanguageModelingReferenceTests : IDisposable
{
    private static readonly JsonElement Root =
        JsonDocument.Parse(File.ReadAllText(Path.Combine(TestFiles.Reference, "evaluation", "language_modeling.json"))).RootElement;

    private readonly Workers _workers = new(2);

    public static TheoryData<string> Items => [.. Root.GetProperty("items").EnumerateArray().Select(item => item.GetProperty("name").GetString()!)];

    public void Dispose() => _workers.Dispose();

    [Theory]
    [MemberData(nameof(Items))]
    public void WindowsAndLossesAreTheOriginals(string name)
    {
        var item = Root.GetProperty("items").EnumerateArray().Single(item => item.GetProperty("name").GetString() == name);
        var config = item.GetProperty("config");
        bool unidirectional = config.GetProperty("unidirectional").GetBoolean();
        var ids = Root.GetProperty("special_tokens");
        int mask = ids.GetProperty(config.GetProperty("use_task_mask").GetBoolean() ? "[gMASK]" : "[MASK]").GetInt32();
        var windows = ScoringWindow.Of(
            item.GetProperty("text_ids").Ints(), config.GetProperty("max_seq_length").GetInt32(), config.GetProperty("generation_length").GetInt32(),
            [mask, ids.GetProperty("sop").GetInt32()], unidirectional).ToArray();
        // The original scores overlapping tokens again where it is unidirectional; we do not, but what a window says of them is the same.
        if (unidirectional) windows = [.. windows.Select(window => window with { ScoredFrom = 1 })];

        var expected = item.GetProperty("windows").EnumerateArray().ToArray();
        Assert.Equal(expected.Length, windows.Length);
        foreach (var (original, window) in expected.Zip(windows)) RequireEqual(original, window);

        var scorer = Scorer();
        double[] losses = [.. windows.Select(window => -scorer.Score([window]).Sum(value => (double)value))];
        foreach (var (loss, original) in losses.Zip(item.GetProperty("window_losses").EnumerateArray())) Assert.Equal(original.GetDouble(), loss, 1e-2);
        double perplexity = Math.Exp(Math.Min(20, losses.Sum() / item.GetProperty("num_original_tokens").GetInt32()));
        Assert.Equal(1, perplexity / item.GetProperty("PPL").GetDouble(), 1e-3);
        // All windows in one forward pass give the same.
        Assert.Equal(losses.Sum(), -scorer.Score(windows).Sum(value => (double)value), 1e-3);
    }

    private static void RequireEqual(JsonElement original, ScoringWindow window)
    {
        Assert.Equal(original.GetProperty("tokens").Ints(), window.Tokens);
        Assert.Equal(original.GetProperty("targets").Ints(), window.Targets);
        Assert.Equal(original.GetProperty("position_ids").Ints(), Enumerable.Range(0, window.Tokens.Length));
        Assert.Equal(original.GetProperty("loss_masks").Ints(), Enumerable.Range(0, window.Tokens.Length).Select(row => row >= window.ScoredFrom ? 1 : 0));
        Assert.Equal(
            original.GetProperty("attention_mask_blocked").EnumerateArray().Select(row => row.GetString()),
            Enumerable.Range(0, window.Tokens.Length).Select(row =>
                string.Concat(Enumerable.Range(0, window.Tokens.Length).Select(key => key < window.Division || key <= row ? '0' : '1'))));
    }

    private Scorer Scorer()
    {
        string folder = Path.Combine(TestFiles.Reference, "glm130b-tiny");
        var weights = SafetensorsFile.Open(Path.Combine(folder, "weights.safetensors"));
        var config = Glm130BConfig.Load(Path.Combine(folder, "config.json")) with { RotaryMode = RotaryMode.Fp16InverseFrequency };
        return new Scorer(new Glm130B(config, name => weights[name]), _workers, new SpecialTokens { Names = new Dictionary<string, int>(), End = [], Before = [0, 0] });
    }
}
