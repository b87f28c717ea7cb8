using System.Globalization;
using System.Text;
using Glm.Plots;

namespace Glm.Evaluation;

/// <summary>A study of quantisation as tables and plots.</summary>
public static class QuantizationReport
{
    private const double LeastShown = 0.01;

    /// <summary>The tables in Markdown.</summary>
    public static string Markdown(QuantizationStudy study)
    {
        var text = new StringBuilder("# Quantisation of the matrices of layers\n\nBits per byte, and their change against the model as it is stored. By row: each output has a scale; by column: each input. ")
            .Append("Inputs of the products are floating-point numbers but in the last part. Bits of a weight include scales and zero points.\n");
        if (study.Limit is { } limit) text.Append(CultureInfo.InvariantCulture, $"The first {limit:N0} documents of each text.\n");
        var columns = study.Models.SelectMany(model => study.Texts.Select((name, i) => (Model: model, Text: name, Index: i))).ToList();
        text.Append('\n');
        Row(text, ["", "bits", .. columns.Select(column => study.Models.Count > 1 ? $"{column.Model}, {column.Text}" : column.Text)]);
        Row(text, ["---", .. Enumerable.Repeat("---:", columns.Count + 1)]);
        foreach (var part in study.Results.GroupBy(result => result.Part))
        {
            if (part.Key.Length > 0) Row(text, [$"*{part.Key}*", .. Enumerable.Repeat("", columns.Count + 1)]);
            foreach (var method in part.GroupBy(result => result.Method))
                Row(text, [method.Key, Number(method.First().Bits, "0.##"), .. columns.Select(column => Cell(method.First(result => result.Model == column.Model), column.Index))]);
        }
        text.Append("\n## How the weights lie\n\nMean over the layers. s: standard deviation of a matrix; kurtosis beyond that of a normal distribution; largest magnitudes over s, and over the root mean square of their row or column.\n\n");
        Row(text, ["", "s", "skewness", "kurtosis", "largest / s", "of a row", "of a column"]);
        Row(text, ["---", .. Enumerable.Repeat("---:", 6)]);
        foreach (var weights in study.Weights)
        {
            double Mean(Func<MatrixStatistics, double> value) => weights.Matrices.Average(value);
            Row(text, [$"{weights.Model}, {weights.Kind}", Number(Mean(m => m.Deviation), "0.0000"), .. new[] { Mean(m => m.Skewness), Mean(m => m.Kurtosis), Mean(m => m.Largest), Mean(m => m.LargestOfRow), Mean(m => m.LargestOfColumn) }.Select(value => Number(value, "0.00"))]);
        }
        return text.ToString();
    }

    /// <summary>The plots by the name of their files: what methods cost on each text, and how each kind of matrix lies.</summary>
    public static IEnumerable<(string Key, Plot Plot)> Plots(QuantizationStudy study)
    {
        var methods = study.Results.Where(result => result.Change is not null).Select(result => (result.Part, result.Method)).Distinct().ToList();
        foreach (var (i, name) in study.Texts.Index())
            yield return ($"quantization-{name}", new BarPlot
            {
                Title = $"Bits per byte of {name} that quantisation adds",
                Description = $"Percent for each method and model; no bar where it is {LeastShown} % or less.",
                Values = new Axis("percent") { Logarithmic = true, Minimum = LeastShown },
                Categories = [.. methods.Select(method => Label(method.Part, method.Method))],
                Series = [.. study.Models.Select(model => new BarSeries(model, [.. methods.Select(method => Bar(study.Results.First(result => result.Model == model && (result.Part, result.Method) == method).Change![i]))]))],
            });
        foreach (var kind in study.Weights.GroupBy(weights => weights.Kind))
            yield return ($"weights-{kind.Key.Replace(' ', '-').ToLowerInvariant()}", new LinePlot
            {
                Title = $"Weights of {kind.Key}",
                Description = "How many weights lie how far from the mean of their matrix, over all layers.",
                X = new Axis("standard deviations of the matrix"),
                Y = new Axis("share of the weights") { Logarithmic = true },
                Series = [.. kind.Select(Line)],
            });

        static string Label(string part, string method) => part.StartsWith("INT", StringComparison.Ordinal) ? $"{part.Split(' ')[0]} {method}" : method;
        static Bar? Bar(double change) => change > LeastShown ? change : null;
    }

    private static LineSeries Line(WeightDistribution weights)
    {
        double all = weights.Counts.Sum();
        int first = 0, end = weights.Counts.Count;
        while (first < end && weights.Counts[first] == 0) first++;
        while (end > first && weights.Counts[end - 1] == 0) end--;
        int[] bins = [.. Enumerable.Range(first, end - first)];
        return new LineSeries(weights.Model, [.. bins.Select(WeightDistribution.Middle)], [.. bins.Select(bin => weights.Counts[bin] / all)]);
    }

    private static string Cell(QuantizationResult result, int text) =>
        Number(result.BitsPerByte[text], "0.0000") + (result.Change is { } change ? $" ({Number(Math.Round(change[text], 2), "+0.00;\u22120.00;0.00")} %)" : "");

    private static void Row(StringBuilder text, IEnumerable<string> cells) => text.Append("| ").AppendJoin(" | ", cells.Select(cell => cell.Replace("|", "\\|"))).Append(" |\n");

    private static string Number(double value, string form) => value.ToString(form, CultureInfo.InvariantCulture);
}
