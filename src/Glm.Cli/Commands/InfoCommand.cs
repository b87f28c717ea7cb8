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
            Description = $"Directory or GGUF file of a model, or a shape without weights: {string.Join(", ", Presets.All.Keys)} or a config.json (default: the shipped model)",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var memory = Options.Memory();
        memory.Description = "Also say what the model takes in so much memory, such as 16GB, on this machine, whose memory and disk are measured for some seconds";
        var threads = Options.Threads();
        var json = Options.Json();
        return new ExampleCommand("info", "Architecture, parameters, sizes and tokenizer of a model; reads no weights",
            "glm info glm-130b", "glm info glm-130b --memory 16GB", "glm info models/mine --json")
        {
            path, memory, threads, json,
        }.Does((parse, _) =>
        {
            var description = Describe(parse.GetValue(path));
            if (parse.GetValue(memory) is { } bytes) description = description with { Needs = MemoryNeeds.Measure(description.Described, bytes, Precisions, parse.GetValue(threads)) };
            if (parse.GetValue(json)) terminal.WriteJson(description);
            else Show(terminal.Screen, description);
        });
    }

    private static ModelDescription Describe(string? path)
    {
        if (path is not null && !Directory.Exists(path) && Presets.Shape(path) is { } shape) return new ModelDescription(path, shape, Stored: null, Vocabulary: null);
        string directory = ModelLocation.OrShipped(path);
        if (File.Exists(directory))
        {
            var (config, inventory) = GgufModel.Describe(directory);
            return new ModelDescription(directory, config, Stored(inventory), VocabularyLocation.FindInGguf(directory) is { IsKnown: true } vocabulary ? VocabularyOf(directory, vocabulary.Create()) : null);
        }
        if (!Directory.Exists(directory)) throw new GlmException($"{directory}: expected the directory or GGUF file of a model, one of {string.Join(", ", Presets.All.Keys)}, or a config.json");
        return new ModelDescription(directory, ModelDirectory.LoadConfig(directory), Stored(ModelDirectory.Inventory(directory)),
            Tokenizer.FindIn(directory) is { } file ? VocabularyOf(file, Tokenizer.Load(file)) : null);
    }

    private static Dictionary<string, StoredAs> Stored(IReadOnlyDictionary<DType, (int Tensors, long Bytes)> inventory) =>
        inventory.ToDictionary(entry => Units.Name(entry.Key), entry => new StoredAs(entry.Value.Tensors, entry.Value.Bytes));

    private static VocabularyDescription VocabularyOf(string file, Tokenizer tokenizer)
    {
        string kind = tokenizer.Kind switch { VocabularyKind.Glm130B => "icetk", VocabularyKind.GlmNet => "unigram with byte fallback", var other => $"{other}" };
        return new VocabularyDescription(Path.GetFileName(file), kind, tokenizer.VocabularySize);
    }

    private static void Show(IAnsiConsole screen, ModelDescription model)
    {
        var shape = model.Described.Shape;
        var heads = shape.Heads;
        var facts = new Grid().AddColumn(new GridColumn().PadRight(3).NoWrap()).AddColumn();
        void Fact(string name, string value) => facts.AddRow(new Markup($"[grey]{name}[/]"), new Text(value));
        Fact("model", model.Model + (model.Stored is null ? " (a shape without weights)" : ""));
        Fact("architecture", model.Architecture);
        Fact("parameters", $"{model.Parameters:N0}");
        Fact("layers", $"{shape.Layers} of width {shape.Hidden:N0}, inner {shape.Inner:N0}, {heads.Heads} heads of {heads.HeadSize}{(heads.GroupHeads > 1 ? $" over {heads.KeyValueHeads} of keys and values" : "")}");
        if (model.Described is Glm130BConfig { Normalization: not Normalization.DeepNorm } other)
            Fact("layer norms", other.Normalization switch
            {
                Normalization.PostLn => "after each sublayer (post-ln), without DeepNorm's constants",
                Normalization.PreLn => "before each sublayer (pre-ln)",
                _ => "before and after each sublayer (sandwich-ln)",
            });
        Fact("embedding", $"{shape.Vocabulary:N0} rows, {(shape.TiedOutput ? "tied to the output" : "and as many of the output")}");
        Fact("positions", $"{shape.MaxSequenceLength:N0}, {Positions(shape.Positions)}");
        Fact("attention", shape.IsCausal ? "causal" : "context in both directions, then causal");
        if (model.Stored is not null)
            Fact("stored as", string.Join(", ", model.Stored.Select(entry => $"{entry.Key} ({entry.Value.Tensors} tensors, {Units.Bytes(entry.Value.Bytes)})")));
        if (model.Vocabulary is { } vocabulary) Fact("tokenizer", $"{vocabulary.Kind}, {vocabulary.Size:N0} ids ({vocabulary.File})");
        Fact("KV cache", $"{string.Join(", ", model.KvBytesPerToken.Select(entry => $"{Units.Bytes(entry.Value)} in {entry.Key}"))}, for each token");
        screen.Write(facts);

        var sizes = new Table().Border(TableBorder.Rounded).AddColumn("precision")
            .AddColumn(new TableColumn("weights").RightAligned()).AddColumn(new TableColumn("bytes").RightAligned());
        if (model.Needs is not { } needs)
        {
            foreach (var (name, bytes) in model.BytesByPrecision) sizes.AddRow(name, Units.Bytes(bytes), $"{bytes:N0}");
            screen.Write(sizes);
            return;
        }
        sizes.AddColumn(new TableColumn("from disk for a token").RightAligned()).AddColumn(new TableColumn("reading for a token").RightAligned());
        foreach (var (name, bytes) in model.BytesByPrecision)
        {
            var need = needs.Precisions[name];
            sizes.AddRow(name, Units.Bytes(bytes), $"{bytes:N0}", need.Runs ? Units.Bytes(need.DiskBytesPerToken) : "too little memory", need.Runs ? $"{need.SecondsPerToken:F3} s" : "");
        }
        screen.Write(sizes);
        screen.WriteLine(
            $"With {Units.Bytes(needs.Memory)}; the program and a context take {Units.Bytes(needs.WorkingBytes)} beside the weights. Memory is read at {needs.ReadGbS:F1} GB/s here, the disk of temporary files at {needs.DiskGbS:F2} GB/s.");
    }

    private static string Positions(PositionKind kind) => kind switch
    {
        PositionKind.Rotary => "rotary",
        PositionKind.Rotary2D => "rotary, also inside the blank",
        PositionKind.Learned => "learned",
        PositionKind.Learned2D => "learned, also inside the blank",
        _ => "by distance (ALiBi)",
    };

    private sealed record StoredAs(int Tensors, long Bytes);

    private sealed record VocabularyDescription(string File, string Kind, int Size);

    /// <summary>What <c>--json</c> prints.</summary>
    private sealed record ModelDescription(
        string Model, [property: JsonIgnore] ModelConfig Described, Dictionary<string, StoredAs>? Stored, [property: JsonPropertyName("tokenizer")] VocabularyDescription? Vocabulary)
    {
        /// <summary>What it takes with a given memory.</summary>
        [JsonPropertyName("with_memory")]
        public MemoryNeeds? Needs { get; init; }

        public string Architecture => Described.Architecture;

        public JsonNode? Config => JsonNode.Parse(Described.ToJson());

        public long Parameters => Described.ParameterCount;

        /// <summary>Size of the weights as they are stored; of a shape without weights, in 16 bits.</summary>
        public long Bytes => Stored?.Values.Sum(type => type.Bytes) ?? ModelSize.WeightBytes(Described, DType.BFloat16);

        public Dictionary<string, long> BytesByPrecision => Precisions.ToDictionary(Units.Name, type => ModelSize.WeightBytes(Described, type));

        public Dictionary<string, long> KvBytesPerToken => Precisions[..3].ToDictionary(Units.Name, type => ModelSize.CacheBytesPerToken(Described, type));
    }
}
