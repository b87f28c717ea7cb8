using System.Text.Json;
using Glm.Formats;
using Glm.Models;
using Glm.Tensors;
using Glm.Tests;
using Glm.Tokenizers;

namespace Glm.Inference.Tests;

/// <summary>The vectors in <c>generation/</c>: texts whose blanks the original code filled.</summary>
internal static class GenerationReference
{
    public static string Folder => Path.Combine(TestFiles.Reference, "generation");

    public static JsonElement Root { get; } = JsonDocument.Parse(File.ReadAllText(Path.Combine(Folder, "generation.json"))).RootElement;

    public static BlankTokens Special { get; } = Specials(Root.GetProperty("special_tokens"));

    public static Session Session(Workers workers)
    {
        var config = Glm130BConfig.Load(Path.Combine(Folder, Root.GetProperty("config").GetString()!)) with { RotaryMode = RotaryMode.Fp16InverseFrequency };
        var weights = SafetensorsFile.Open(Path.Combine(Folder, Root.GetProperty("weights").GetString()!));
        return new Session(new Glm130B(config, name => weights[name]), workers);
    }

    /// <summary>Every case under every strategy.</summary>
    public static TheoryData<int, string> Cases()
    {
        var data = new TheoryData<int, string>();
        foreach (var (test, index) in Root.GetProperty("cases").EnumerateArray().Select((test, index) => (test, index)))
            foreach (var result in test.GetProperty("results").EnumerateObject()) data.Add(index, result.Name);
        return data;
    }

    /// <summary>The options of a strategy of the file.</summary>
    public static FillOptions Options(string strategy)
    {
        var parameters = Root.GetProperty("strategies").GetProperty(strategy);
        bool beam = parameters.GetProperty("cls").GetString() == "BeamSearchStrategy";
        double Number(string name, double otherwise) => parameters.TryGetProperty(name, out var value) ? value.GetDouble() : otherwise;
        // At a temperature of 0.01 the original drew the most probable token throughout, sometimes with a probability of 0.73: no draw of ours repeats that.
        bool greedy = Number("temperature", 1) <= 0.01;
        return new FillOptions
        {
            Strategy = beam ? StrategyKind.Beam : greedy ? StrategyKind.Greedy : StrategyKind.Sample,
            Temperature = Number("temperature", 1),
            TopK = (int)Number("top_k", 0),
            TopP = Number("top_p", 0),
            NumBeams = (int)Number("num_beams", 1),
            LengthPenalty = Number("length_penalty", 1),
            NoRepeatNgram = (int)Number("no_repeat_ngram_size", 0),
            MinGenLength = (int)Number("min_gen_length", 0),
            MaxNewTokens = int.MaxValue,
            OutSeqLength = Root.GetProperty("out_seq_length").GetInt32(),
        };
    }

    public static int[] Ints(this JsonElement element) => [.. element.EnumerateArray().Select(value => value.GetInt32())];

    public static int[][] IntLists(this JsonElement element) => [.. element.EnumerateArray().Select(Ints)];

    private static BlankTokens Specials(JsonElement ids)
    {
        int Id(string name) => ids.GetProperty(name).GetInt32();
        return new BlankTokens(Id("[MASK]"), Id("[gMASK]"), Id("[sMASK]"), Id("sop"), Id("eop"), Id("eos"));
    }
}
