using System.CommandLine;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;
using Spectre.Console;

namespace Glm.Cli.Commands;

/// <summary><c>glm info</c>: what a model is and what it takes, from its configuration and the headers of its files alone.</summary>
internal static class InfoCommand
{
    private static readonly DType[] Precisions = [DType.Float32, DType.BFloat16, DType.Int8, DType.Int4];

    public static Command Create(Terminal terminal)
    {
        var path = new Argument<string>("PATH|PRESET")
        {
            Description = $"Directory of a model, or a shape without weights: {string.Join(", ", Presets.All.Keys)} (default: the shipped model)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var json = Options.Json();
        return new ExampleCommand("info", "Architecture, parameters, sizes and tokenizer of a model; reads no weights", "glm info glm-130b", "glm info models/mine --json")
        {
            path, json,
        }.Does((parse, _) =>
        {
            var description = Describe(parse.GetValue(path));
            if (parse.GetValue(json)) terminal.WriteJson(description);
            else Show(terminal.Screen, description);
        });
    }

    private static ModelDescription Describe(string? path)
    {
        if (path is not null && !Directory.Exists(path) && Presets.Find(path) is { } preset) return new ModelDescription(path, preset, Stored: null, Vocabulary: null);
        string directory = ModelLocation.OrShipped(path);
        if (!Directory.Exists(directory)) throw new GlmException($"{directory}: expected the directory of a model or one of {string.Join(", ", Presets.All.Keys)}");
        var stored = ModelDirectory.Inventory(directory)
            .ToDictionary(entry => Units.Name(entry.Key), entry => new StoredAs(entry.Value.Tensors, entry.Value.Bytes));
        return new ModelDescription(directory, ModelDirectory.LoadConfig(directory), stored, VocabularyOf(directory));
    }

    private static VocabularyDescription? VocabularyOf(string directory)
    {
        string? file = Tokenizer.FindIn(directory);
        if (file is null) return null;
        var tokenizer = Tokenizer.Load(file);
        string kind = tokenizer.Kind switch { VocabularyKind.Glm130B => "icetk", VocabularyKind.GlmNet => "unigram with byte fallback", var other => $"{other}" };
        return new VocabularyDescription(Path.GetFileName(file), kind, tokenizer.VocabularySize);
    }

    private static void Show(IAnsiConsole screen, ModelDescription model)
    {
        var config = model.Shape;
        var facts = new Grid().AddColumn(new GridColumn().PadRight(3).NoWrap()).AddColumn();
        void Fact(string name, string value) => facts.AddRow(new Markup($"[grey]{name}[/]"), new Text(value));
        Fact("model", model.Model + (model.Stored is null ? " (a shape without weights)" : ""));
        Fact("architecture", model.Architecture);
        Fact("parameters", $"{model.Parameters:N0}");
        Fact("layers", $"{config.NumLayers} of width {config.HiddenSize:N0}, inner {config.InnerHiddenSize:N0}, {config.NumAttentionHeads} heads of {config.HeadSize}");
        Fact("embedding", $"{config.VocabSize:N0} rows, tied to the output");
        Fact("positions", $"{config.MaxSequenceLength:N0}, rotary");
        if (model.Stored is not null)
            Fact("stored as", string.Join(", ", model.Stored.Select(entry => $"{entry.Key} ({entry.Value.Tensors} tensors, {Units.Bytes(entry.Value.Bytes)})")));
        if (model.Vocabulary is { } vocabulary) Fact("tokenizer", $"{vocabulary.Kind}, {vocabulary.Size:N0} ids ({vocabulary.File})");
        Fact("KV cache", $"{string.Join(", ", model.KvBytesPerToken.Select(entry => $"{Units.Bytes(entry.Value)} in {entry.Key}"))}, for each token");
        screen.Write(facts);

        var sizes = new Table().Border(TableBorder.Rounded).AddColumn("precision")
            .AddColumn(new TableColumn("weights").RightAligned()).AddColumn(new TableColumn("bytes").RightAligned());
        foreach (var (name, bytes) in model.BytesByPrecision) sizes.AddRow(name, Units.Bytes(bytes), $"{bytes:N0}");
        screen.Write(sizes);
    }

    private sealed record StoredAs(int Tensors, long Bytes);

    private sealed record VocabularyDescription(string File, string Kind, int Size);

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record ModelDescription(
        string Model, [property: JsonIgnore] Glm130BConfig Shape, Dictionary<string, StoredAs>? Stored, [property: JsonPropertyName("tokenizer")] VocabularyDescription? Vocabulary)
    {
        public string Architecture => Shape.ModelType;

        public JsonNode? Config => JsonNode.Parse(Shape.ToJson());

        public long Parameters => Shape.ParameterCount;

        /// <summary>Size of the weights as they are stored; of a shape without weights, in 16 bits.</summary>
        public long Bytes => Stored?.Values.Sum(type => type.Bytes) ?? ModelSize.WeightBytes(Shape, DType.BFloat16);

        public Dictionary<string, long> BytesByPrecision => Precisions.ToDictionary(Units.Name, type => ModelSize.WeightBytes(Shape, type));

        public Dictionary<string, long> KvBytesPerToken => Precisions[..2].ToDictionary(Units.Name, type => ModelSize.CacheBytesPerToken(Shape, type));
    }
}
