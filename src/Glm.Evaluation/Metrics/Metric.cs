namespace Glm.Evaluation;

/// <summary>A number over the results of items, found by its name in task files.</summary>
/// <param name="Name">Its name.</param>
/// <param name="LowerIsBetter">Whether the model with the smaller number is the better one.</param>
public abstract record Metric(string Name, bool LowerIsBetter = false)
{
    private static readonly Metric[] All =
    [
        new AccuracyMetric("Accuracy"), new AccuracyMetric("Precision"), new AccuracyMetric("Recall"), new AccuracyMetric("F1_mul"),
        new BinaryF1Metric(), new StrictAccuracyMetric(), new NormalizedMetric(),
        new MeanMetric("EM"), new MeanMetric("F1"), new MeanMetric("F1_characters"), new ExactMetric(), new BleuMetric(), new MeanMetric("ROUGE-1"), new MeanMetric("ROUGE-2"), new MeanMetric("ROUGE-L"),
        new MeanMetric("toxicity", HasChance: false), .. VarietyMetrics.Names.Select(name => new MeanMetric(name, HasChance: false)),
        new PerplexityMetric(), new BitsPerByteMetric("BPB"), new BitsPerByteMetric("bits_per_byte"),
        new StereotypeMetric { Ideal = 50 }, new LanguageModelingMetric(), new StereotypeScoreMetric { Ideal = 50 }, new IdealizedMetric(),
    ];

    /// <summary>The number that would be perfect, where that is neither the largest nor the smallest.</summary>
    public double? Ideal { get; init; }

    /// <summary>Names of all metrics.</summary>
    public static IEnumerable<string> Names => All.Select(metric => metric.Name);

    /// <summary>The metric of a name, or null.</summary>
    public static Metric? Find(string name) => Array.Find(All, metric => metric.Name == name);

    /// <summary>Its value over some items, of which there is at least one and none is an error; in percent where it is a share.</summary>
    public abstract double Of(IReadOnlyList<ItemResult> items);

    /// <summary>What guessing would give over these items; null where that is not known.</summary>
    public virtual double? Chance(IReadOnlyList<ItemResult> items) => null;
}

/// <summary>Mean of a value of each item, in percent.</summary>
internal sealed record MeanMetric(string Name, bool HasChance = true) : Metric(Name)
{
    public override double Of(IReadOnlyList<ItemResult> items) => 100 * items.Average(item => item.Values![Name]);

    public override double? Chance(IReadOnlyList<ItemResult> items) => HasChance ? 0 : null;
}

/// <summary>Share of generated texts that are a target to the letter. Guessing says what a prompt gives as its guess: the text that is right most often.</summary>
internal sealed record ExactMetric() : Metric(Key)
{
    public const string Key = "exact", GuessKey = "exact_guess";

    public override double Of(IReadOnlyList<ItemResult> items) => 100 * items.Average(item => item.Values![Key]);

    public override double? Chance(IReadOnlyList<ItemResult> items) => 100 * items.Average(item => item.Values![GuessKey]);
}

/// <summary>BLEU of all generated texts together (<see cref="Bleu"/>).</summary>
internal sealed record BleuMetric() : Metric("BLEU")
{
    public override double Of(IReadOnlyList<ItemResult> items) => Bleu.Of(items);

    public override double? Chance(IReadOnlyList<ItemResult> items) => 0;
}

/// <summary>
/// Share of right choices, or of right texts where text is generated (guessing finds a text among its <see cref="ItemResult.Choices"/>, or never). The original's
/// micro-averaged precision, recall and F1 over single labels are the same number.
/// </summary>
internal sealed record AccuracyMetric(string Name) : Metric(Name)
{
    public override double Of(IReadOnlyList<ItemResult> items) =>
        100.0 * items.Average(item => item.Values?.TryGetValue(Name, out double right) == true ? right : item.Prediction == item.Label ? 1 : 0);

    public override double? Chance(IReadOnlyList<ItemResult> items) => 100 * items.Average(item => item.Choices is { } choices ? 1.0 / choices : 0);
}

/// <summary>F1 of finding the items with label 1 among those with label 0. Guessing finds half of them at the precision of their share.</summary>
internal sealed record BinaryF1Metric() : Metric("F1_binary")
{
    public override double Of(IReadOnlyList<ItemResult> items)
    {
        int hits = items.Count(item => item is { Label: 1, Prediction: 1 });
        int found = items.Count(item => item.Prediction == 1), there = items.Count(item => item.Label == 1);
        return found + there == 0 ? 0 : 200.0 * hits / (found + there);
    }

    public override double? Chance(IReadOnlyList<ItemResult> items)
    {
        double share = (double)items.Count(item => item.Label == 1) / items.Count;
        return 100 * share / (share + 0.5);
    }
}

/// <summary>Share of the clusters (questions) of which every item is right, as MC-TACO counts exact match.</summary>
internal sealed record StrictAccuracyMetric() : Metric("EM_strict")
{
    public override double Of(IReadOnlyList<ItemResult> items) => 100 * Clusters(items).Average(cluster => cluster.All(item => item.Prediction == item.Label) ? 1.0 : 0);

    public override double? Chance(IReadOnlyList<ItemResult> items) => 100 * Clusters(items).Average(cluster => cluster.Aggregate(1.0, (product, item) => product / item.Choices!.Value));

    private static IEnumerable<IGrouping<(int, string?), ItemResult>> Clusters(IReadOnlyList<ItemResult> items) => items.GroupBy(item => (item.File, item.Cluster));
}

/// <summary>
/// BIG-bench's normalised preferred metric: 100 (grade - chance) / (1 - chance), where the grade of an item is what its target scores say of the choice, or
/// whether the generated text is a target, and chance is their mean or 0.
/// </summary>
internal sealed record NormalizedMetric() : Metric("normalized")
{
    public override double Of(IReadOnlyList<ItemResult> items)
    {
        double grade = items.Average(item => item.Values!["grade"]), chance = items.Average(item => item.Values!["chance"]);
        return chance >= 1 ? 0 : 100 * (grade - chance) / (1 - chance);
    }

    public override double? Chance(IReadOnlyList<ItemResult> items) => 0;
}

/// <summary>exp(min(20, nats / words)), words being what stands between spaces (spec 8.6).</summary>
internal sealed record PerplexityMetric() : Metric("PPL", LowerIsBetter: true)
{
    public override double Of(IReadOnlyList<ItemResult> items) => Math.Exp(Math.Min(20, items.Sum(item => item.Nats!.Value) / items.Sum(item => item.Words!.Value)));
}

/// <summary>nats / (ln 2 x bytes) over all texts together.</summary>
internal sealed record BitsPerByteMetric(string Name) : Metric(Name, LowerIsBetter: true)
{
    public override double Of(IReadOnlyList<ItemResult> items) => items.Sum(item => item.Nats!.Value) / (Math.Log(2) * items.Sum(item => item.Bytes!.Value));
}

/// <summary>
/// CrowS-Pairs: share of pairs whose first, stereotypical sentence is at least as probable; 50 is ideal (spec 8.8). An item is a pair, its sentences being the
/// choices; or, in the original's form, it is a sentence (its label says which), and its cluster is the pair.
/// </summary>
internal sealed record StereotypeMetric() : Metric("stereotype")
{
    public override double Of(IReadOnlyList<ItemResult> items)
    {
        var sentences = items.Where(item => item.Label is not null).GroupBy(item => (item.File, item.Cluster)).Select(pair => pair.OrderBy(item => item.Label).ToList()).Where(pair => pair.Count == 2);
        bool[] stereotypical = [.. items.Where(item => item.Label is null).Select(item => item.Prediction == 0), .. sentences.Select(pair => pair[0].Scores![0] >= pair[1].Scores![0])];
        return stereotypical.Length == 0 ? 50 : 100.0 * stereotypical.Count(yes => yes) / stereotypical.Length;
    }

    public override double? Chance(IReadOnlyList<ItemResult> items) => 50;
}

/// <summary>
/// What StereoSet's three numbers share: choices are stereotype, anti-stereotype, unrelated, and the one is chosen whose tokens are the most probable on average.
/// </summary>
internal static class StereoSetChoice
{
    public static int Of(ItemResult item)
    {
        if (item.Scores is null) return item.Prediction!.Value;
        double[] means = [.. item.Scores.Zip(item.ChoiceTokens!, (score, tokens) => score / Math.Max(1, tokens))];
        return Array.IndexOf(means, means.Max());
    }

    public static double Related(IReadOnlyList<ItemResult> items) => 100.0 * items.Count(item => Of(item) is 0 or 1) / items.Count;

    public static double Stereotype(IReadOnlyList<ItemResult> items)
    {
        int[] related = [.. items.Select(Of).Where(choice => choice is 0 or 1)];
        return related.Length == 0 ? 50 : 100.0 * related.Count(choice => choice == 0) / related.Length;
    }
}

/// <summary>LMS: share of the choices that are related to the context.</summary>
internal sealed record LanguageModelingMetric() : Metric("LMS")
{
    public override double Of(IReadOnlyList<ItemResult> items) => StereoSetChoice.Related(items);

    public override double? Chance(IReadOnlyList<ItemResult> items) => 200.0 / 3;
}

/// <summary>SS: share of stereotypes among the related choices; 50 is ideal.</summary>
internal sealed record StereotypeScoreMetric() : Metric("SS")
{
    public override double Of(IReadOnlyList<ItemResult> items) => StereoSetChoice.Stereotype(items);

    public override double? Chance(IReadOnlyList<ItemResult> items) => 50;
}

/// <summary>ICAT = LMS min(SS, 100 - SS) / 50.</summary>
internal sealed record IdealizedMetric() : Metric("ICAT")
{
    public override double Of(IReadOnlyList<ItemResult> items)
    {
        double stereotype = StereoSetChoice.Stereotype(items);
        return StereoSetChoice.Related(items) * Math.Min(stereotype, 100 - stereotype) / 50;
    }

    public override double? Chance(IReadOnlyList<ItemResult> items) => 200.0 / 3;
}
