using Glm.Models;
using Glm.Tensors;
using Glm.Tokenizers;

namespace Glm.Evaluation;

/// <summary>A way to hold, and to multiply by, the matrices of layers.</summary>
/// <param name="Part">What it is compared with.</param>
/// <param name="Name">Its name among those.</param>
/// <param name="Bits">Bits that a matrix of so many rows and columns takes.</param>
/// <param name="Apply">A model that holds them so.</param>
internal sealed record StudiedMethod(string Part, string Name, Func<int, int, double> Bits, Func<LanguageModel, Workers, LanguageModel> Apply);

/// <summary>What a model lost by a method.</summary>
/// <param name="Model">Name of the model.</param>
/// <param name="Part">What the method is compared with.</param>
/// <param name="Method">The method.</param>
/// <param name="Bits">Bits of a weight of the matrices, scales and zero points included.</param>
/// <param name="BitsPerByte">Of each text, in the order of the study's.</param>
/// <param name="Change">Of each text, in percent of what the model as it is stored needs; null for that one.</param>
public sealed record QuantizationResult(string Model, string Part, string Method, double Bits, IReadOnlyList<double> BitsPerByte, IReadOnlyList<double>? Change);

/// <summary>How far a study is.</summary>
/// <param name="Model">The model under way.</param>
/// <param name="Method">The method under way.</param>
/// <param name="Share">Share of the model's study that is done.</param>
public readonly record struct StudyProgress(string Model, string Method, double Share);

/// <summary>
/// What quantising the matrices of layers costs in bits per byte: schemes, axes, group sizes, blocks and integer activations on the same text, for models side by
/// side, and how their weights lie (paper, section on INT4 quantisation and its appendix; spec 6.3).
/// </summary>
/// <param name="Models">Names of the models.</param>
/// <param name="Texts">Names of the texts.</param>
/// <param name="Limit">Most documents of a text; null for all.</param>
/// <param name="Results">Every model with every method.</param>
/// <param name="Weights">How the weights lie.</param>
public sealed record QuantizationStudy(
    IReadOnlyList<string> Models, IReadOnlyList<string> Texts, int? Limit, IReadOnlyList<QuantizationResult> Results, IReadOnlyList<WeightDistribution> Weights)
{
    /// <summary>The method that is none.</summary>
    public const string AsStored = "as stored";

    private const int BlockValues = 32;

    private static IReadOnlyList<StudiedMethod> Methods { get; } =
    [
        new("", AsStored, (_, _) => 0, (model, _) => model),
        .. from bits in new[] { 8, 4 }
           from scheme in Enum.GetValues<QuantizationScheme>()
           from axis in Enum.GetValues<QuantizationAxis>()
           select Fake($"INT{bits}", $"{NameOf(scheme)} by {(axis == QuantizationAxis.Row ? "row" : "column")}", new QuantizationMethod(scheme, axis, bits)),
        .. from scheme in Enum.GetValues<QuantizationScheme>()
           from size in new[] { 128, 64, 32 }
           select Fake("INT4 by groups of a row", $"{NameOf(scheme)}, groups of {size}", new QuantizationMethod(scheme, QuantizationAxis.Row, 4, size)),
        Blocks(DType.Q8_0, 8.5),
        Blocks(DType.Q4_0, 4.5),
        .. from bits in new[] { 8, 4 }
           from inputs in new[] { 16, 8 }
           select Packed(bits, inputs),
    ];

    /// <summary>Studies models one after another.</summary>
    /// <param name="models">Opens each when its turn comes, with a name.</param>
    /// <param name="texts">Text files, .txt or .jsonl, plain or compressed.</param>
    /// <param name="limit">Most documents of a text.</param>
    /// <param name="progress">Sees how far it is.</param>
    /// <param name="cancellation">Ends it.</param>
    /// <exception cref="GlmException">A text cannot be read, or a model has no floating-point matrices.</exception>
    public static QuantizationStudy Run(
        IEnumerable<(string Name, LanguageModel Model, Tokenizer Tokenizer, Workers Workers)> models, IReadOnlyList<string> texts, int? limit = null, IProgress<StudyProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        string[] names = [.. texts.Select(text => Path.GetFileNameWithoutExtension(DataReader.PlainName(Path.GetFileName(text))))];
        if (names.GroupBy(name => name).FirstOrDefault(same => same.Count() > 1) is { } twice) throw new GlmException($"texts: expected files of different names, found {twice.Key} twice");
        var (studied, results, weights) = (new List<string>(), new List<QuantizationResult>(), new List<WeightDistribution>());
        foreach (var (name, model, tokenizer, workers) in models)
        {
            if (studied.Contains(name)) throw new GlmException($"models: expected directories of different names, found {name} twice");
            var matrices = model.Parameters.Where(parameter => model.Config.IsQuantizable(parameter.Name)).Select(parameter => parameter.Tensor).ToList();
            if (matrices.FirstOrDefault(matrix => !matrix.Type.IsFloat()) is { } other) throw new GlmException($"{name}: expected floating-point matrices to quantise, found {other}");
            studied.Add(name);
            weights.AddRange(WeightDistribution.Of(name, model));
            double count = matrices.Sum(matrix => (double)matrix.Count);
            double[]? whole = null;
            foreach (var (i, method) in Methods.Index())
            {
                var changed = method.Apply(model, workers);
                double[] measured = [.. texts.Index().Select(text => BitsPerByte(text.Item, Scorer(changed, tokenizer, workers, name), limit, Part(text.Index), cancellation))];
                double bits = whole is null ? matrices.Sum(matrix => 8.0 * matrix.Bytes) : matrices.Sum(matrix => method.Bits(matrix.Rows, matrix.Columns));
                results.Add(new QuantizationResult(name, method.Part, method.Name, bits / count, measured, whole is null ? null : [.. measured.Zip(whole, (value, before) => 100 * ((value / before) - 1))]));
                whole ??= measured;

                DirectProgress Part(int text) => new(share => progress?.Report(new StudyProgress(name, $"{method.Part} {method.Name}".TrimStart(), (i + ((text + share) / texts.Count)) / Methods.Count)));
            }
        }
        return new QuantizationStudy(studied, names, limit, results, weights);
    }

    private static LocalModel Scorer(LanguageModel model, Tokenizer tokenizer, Workers workers, string name) => new(model, workers, tokenizer, new ModelIdentity { Name = name, Location = name });

    private static double BitsPerByte(string text, LocalModel model, int? limit, DirectProgress progress, CancellationToken cancellation)
    {
        using (model)
        {
            var result = TaskRunner.Run(BitsPerByteTask.Over(text, "*"), model, new TaskOptions { Data = "", Limit = limit }, progress: progress, cancellation: cancellation);
            return result.Overall.Metrics["bits_per_byte"].Average;
        }
    }

    private static string NameOf(QuantizationScheme scheme) => scheme == QuantizationScheme.Absmax ? "absmax" : "zero point";

    private static StudiedMethod Fake(string part, string name, QuantizationMethod method) =>
        new(part, name, method.BitsOf, (model, workers) => Replaced(model, (parameter, matrix) => FakeQuantization.Round(parameter, matrix, method, workers)));

    private static StudiedMethod Blocks(DType type, double bits) =>
        new($"blocks of {BlockValues}", $"{type}", (rows, columns) => bits * rows * columns, (model, _) => Replaced(model, (_, matrix) => ThroughBlocks(matrix, type)));

    /// <summary>Absmax by row in the kernels that multiply integers, whose inputs are integers too.</summary>
    private static StudiedMethod Packed(int bits, int inputs) => new(
        "absmax by row, integer activations", $"INT{bits}, activations of {inputs} bits", new QuantizationMethod(QuantizationScheme.Absmax, QuantizationAxis.Row, bits).BitsOf, (model, workers) =>
        {
            var packed = Quantization.Quantize(model, bits, workers).Packed(workers);
            packed.InputBits = inputs;
            return packed;
        });

    private static LanguageModel Replaced(LanguageModel model, Func<string, Tensor, Tensor> replace)
    {
        var tensors = model.Parameters.ToDictionary(parameter => parameter.Name, parameter => parameter.Tensor);
        return model.With(name => model.Config.IsQuantizable(name) ? replace(name, tensors[name]) : tensors[name]);
    }

    /// <summary>A matrix through a block format and back; the last block of a row is filled up with zeros, which changes no scale.</summary>
    private static Tensor ThroughBlocks(Tensor matrix, DType type)
    {
        int rows = matrix.Rows, columns = matrix.Columns, padded = (columns + BlockValues - 1) / BlockValues * BlockValues;
        var result = Tensor.Allocate(DType.Float32, rows, columns);
        for (int row = 0; row < rows; row++)
        {
            float[] values = [.. matrix.Slice(row, 1).ToArray(), .. new float[padded - columns]];
            float[] decoded = Tensor.From(values, 1, padded).To(type).ToArray();
            result.Slice(row, 1).CopyFrom(decoded.AsSpan(0, columns));
        }
        return result;
    }

    private sealed class DirectProgress(Action<double> report) : IProgress<TaskProgress>
    {
        public void Report(TaskProgress value) => report(value.Fraction);
    }
}
