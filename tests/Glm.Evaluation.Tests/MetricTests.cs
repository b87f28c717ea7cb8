using Glm.Tests;

namespace Glm.Evaluation.Tests;

public sealed class MetricTests
{
    private const double Tolerance = 1e-9;

    [WholeReferenceFact]
    public void Answers_are_compared_as_the_original_does()
    {
        foreach (var (_, root) in EvaluationReference.Files(root => root.TryGetProperty("pairs", out _)))
        {
            var items = new List<ItemResult>();
            foreach (var pair in root.GetProperty("pairs").EnumerateArray())
            {
                string answer = pair.GetProperty("prediction").GetString()!;
                string[] targets = [.. pair.GetProperty("references").EnumerateArray().Select(target => target.GetString()!)];
                Assert.Equal(pair.GetProperty("normalized").GetString(), AnswerText.Normalize(answer));
                Assert.Equal(pair.GetProperty("EM").GetDouble(), AnswerText.ExactMatch(answer, targets), Tolerance);
                Assert.Equal(pair.GetProperty("F1").GetDouble(), AnswerText.F1(answer, targets), Tolerance);
                items.Add(Item(items.Count) with { Values = new Dictionary<string, double> { ["EM"] = AnswerText.ExactMatch(answer, targets), ["F1"] = AnswerText.F1(answer, targets) } });
            }
            Assert.Equal(root.GetProperty("dataset_EM").GetDouble(), Value("EM", items), Tolerance);
            Assert.Equal(root.GetProperty("dataset_F1").GetDouble(), Value("F1", items), Tolerance);
        }
    }

    [WholeReferenceFact]
    public void Classes_groups_and_perplexity_are_counted_as_the_original_does()
    {
        foreach (var (_, root) in EvaluationReference.Files(root => root.TryGetProperty("pairs", out _)))
        {
            var classes = root.GetProperty("classification");
            ItemResult[] items = [.. classes.GetProperty("predictions").Ints().Zip(classes.GetProperty("labels").Ints(), (prediction, label) => Item(0) with { Prediction = prediction, Label = label })];
            foreach (var (ours, theirs) in new[] { ("Accuracy", "Accuracy"), ("Precision", "Precision_micro"), ("Recall", "Recall_micro"), ("F1_mul", "F1_mul") })
                Assert.Equal(classes.GetProperty(theirs).GetDouble(), Value(ours, items), Tolerance);

            var group = root.GetProperty("group");
            foreach (var metric in group.GetProperty("result").EnumerateObject())
            {
                var statistics = FileStatistics.Of([.. group.GetProperty("files").EnumerateObject().Select(file =>
                    (file.Value.GetProperty("metrics").GetProperty(metric.Name).GetDouble(), file.Value.GetProperty("length").GetInt32()))]);
                Assert.Equal(metric.Value.GetProperty("max").GetDouble(), statistics.Max, Tolerance);
                Assert.Equal(metric.Value.GetProperty("median").GetDouble(), statistics.Median, Tolerance);
                Assert.Equal(metric.Value.GetProperty("average").GetDouble(), statistics.Average, Tolerance);
            }

            foreach (var text in root.GetProperty("perplexity").EnumerateArray())
            {
                var item = Item(0) with { Nats = text.GetProperty("losses").Doubles().Sum(), Words = text.GetProperty("num_original_tokens").GetInt32() };
                Assert.Equal(1, Value("PPL", [item]) / text.GetProperty("PPL").GetDouble(), Tolerance);
            }
        }
    }

    [Fact]
    public void Stereotypes_are_counted_among_related_choices()
    {
        // Per token: stereotype, anti-stereotype, unrelated, stereotype.
        ItemResult[] items =
        [
            Item(0) with { Scores = [-2, -9, -9], ChoiceTokens = [1, 1, 1] }, Item(1) with { Scores = [-2, -3, -9], ChoiceTokens = [1, 2, 1] },
            Item(2) with { Scores = [-2, -3, -1], ChoiceTokens = [1, 2, 1] }, Item(3) with { Scores = [-2, -2, -9], ChoiceTokens = [1, 1, 1] },
        ];
        Assert.Equal(75, Value("LMS", items), Tolerance);
        Assert.Equal(200.0 / 3, Value("SS", items), Tolerance);
        Assert.Equal(75 * (100 / 3.0) / 50, Value("ICAT", items), Tolerance);
    }

    [Fact]
    public void Strict_accuracy_counts_whole_clusters()
    {
        ItemResult[] items = [Answered(1, 1, "a"), Answered(0, 0, "a"), Answered(1, 1, "b"), Answered(0, 1, "b")];
        Assert.Equal(50, Value("EM_strict", items), Tolerance);
        Assert.Equal(25, Metric.Find("EM_strict")!.Chance(items)!.Value, Tolerance);
        Assert.Equal(75, Value("Accuracy", items), Tolerance);
        Assert.Equal(50, Metric.Find("Accuracy")!.Chance(items)!.Value, Tolerance);
        Assert.Equal(80, Value("F1_binary", items), Tolerance);
    }

    [Fact]
    public void Normalised_scores_are_zero_at_chance_and_a_hundred_at_best()
    {
        static ItemResult Graded(double grade) => Item(0) with { Values = new Dictionary<string, double> { ["grade"] = grade, ["chance"] = 0.25 } };
        Assert.Equal(100, Value("normalized", [Graded(1), Graded(1)]), Tolerance);
        Assert.Equal(0, Value("normalized", [Graded(0.5), Graded(0)]), Tolerance);
        Assert.Equal(-100.0 / 3, Value("normalized", [Graded(0)]), Tolerance);
    }

    /// <summary>Hits of 1 to 4 tokens counted by hand.</summary>
    [Fact]
    public void Bleu_is_that_of_its_definition()
    {
        // Of 7, 6, 5, 4 n-grams 6, 4, 2, 1 are in the target.
        Assert.Equal(100 * Math.Pow(6.0 / 7 * 4 / 6 * 2 / 5 * 1 / 4, 0.25), OfTexts(("the cat sat on the mat.", ["the cat is on the mat."])), Tolerance);
        Assert.Equal(48.892302, OfTexts(("the cat sat on the mat.", ["the cat is on the mat."])), 1e-6);
        // No n-gram twice of what the target has once; orders without a hit count as a half, a quarter, an eighth of one.
        Assert.Equal(100 * Math.Pow(1.0 / 4 * (0.5 / 3) * (0.25 / 2) * (0.125 / 1), 0.25), OfTexts(("the the the the", ["the cat"])), Tolerance);
        // Over two texts together: hits 8 of 8, 6 of 6, 4 of 4, 2 of 2, and 8 tokens where the targets have 9.
        Assert.Equal(100 * Math.Exp(1 - (9.0 / 8)), OfTexts(("a b c d", ["a b c d e"]), ("e f g h", ["x", "e f g h"])), Tolerance);
        Assert.Equal(0, OfTexts(("", ["the cat sat down"]), ("dogs", ["the cat sat down"])));
        Assert.Equal(0, OfTexts(("the cat", ["the cat"]))); // not one n-gram of three
        Assert.Equal(["He", "paid", "3.50", "$", "(", "or", "4,000", ")", ",", "“", "not", "”", "9", "-", "it", "."], Bleu.Tokens("He paid 3.50$ (or 4,000), “not” 9-it."));

        static double OfTexts(params (string Text, string[] Targets)[] texts) =>
            Value("BLEU", [.. texts.Select(text => Item(0) with { Values = Bleu.Counts(text.Text, text.Targets).ToDictionary(count => count.Name, count => count.Value) })]);
    }

    /// <summary>Porter's own examples, and those that NLTK's changes are about.</summary>
    [Theory]
    [InlineData("caresses", "caress"), InlineData("ponies", "poni"), InlineData("cats", "cat"), InlineData("feed", "feed"), InlineData("agreed", "agre"), InlineData("plastered", "plaster")]
    [InlineData("bled", "bled"), InlineData("motoring", "motor"), InlineData("sing", "sing"), InlineData("conflated", "conflat"), InlineData("sized", "size"), InlineData("hopping", "hop")]
    [InlineData("falling", "fall"), InlineData("hissing", "hiss"), InlineData("filing", "file"), InlineData("happy", "happi"), InlineData("relational", "relat"), InlineData("conditional", "condit")]
    [InlineData("vietnamization", "vietnam"), InlineData("operator", "oper"), InlineData("hopefulness", "hope"), InlineData("sensibiliti", "sensibl"), InlineData("triplicate", "triplic")]
    [InlineData("electrical", "electr"), InlineData("goodness", "good"), InlineData("allowance", "allow"), InlineData("adjustment", "adjust"), InlineData("adoption", "adopt"), InlineData("effective", "effect")]
    [InlineData("probate", "probat"), InlineData("rate", "rate"), InlineData("cease", "ceas"), InlineData("controlling", "control"), InlineData("roll", "roll")]
    [InlineData("dies", "die"), InlineData("dying", "die"), InlineData("skies", "sky"), InlineData("tied", "tie"), InlineData("enjoy", "enjoy"), InlineData("by", "by"), InlineData("usefully", "use"), InlineData("geology", "geolog")]
    public void Words_have_the_stems_of_porter(string word, string stem) => Assert.Equal(stem, PorterStemmer.Stem(word));

    [Fact]
    public void Rouge_is_that_of_its_definition()
    {
        // Of five and seven pairs three are the same; six words of six and eight stand in the same order.
        string[] target = ["The cats were sitting on the old mats!"];
        Assert.Equal(2.0 * 3 / (5 + 7), Rouge.OfRuns("the cat sits on the mat", target, 2), Tolerance); // the cat, sit on, on the
        Assert.Equal(2.0 * 6 / (6 + 8), Rouge.OfSubsequence("the cat sits on the mat", target), Tolerance);
        Assert.Equal(2.0 * 6 / (6 + 8), Rouge.OfRuns("the cat sits on the mat", target, 1), Tolerance);
        Assert.Equal(1, Rouge.OfSubsequence("yes", ["no", "Yes."]), Tolerance);
        Assert.Equal(0, Rouge.OfRuns("yes", ["yes"], 2)); // no pair
        Assert.Equal(0, Rouge.OfSubsequence("", ["yes"]));
    }

    [Fact]
    public void Every_metric_is_found_by_its_name() => Assert.All(Metric.Names, name => Assert.Equal(name, Metric.Find(name)!.Name));

    private static double Value(string metric, IReadOnlyList<ItemResult> items) => Metric.Find(metric)!.Of(items);

    private static ItemResult Item(int index) => new() { File = 0, Item = index };

    private static ItemResult Answered(int prediction, int label, string cluster) => Item(0) with { Prediction = prediction, Label = label, Cluster = cluster, Choices = 2 };
}
