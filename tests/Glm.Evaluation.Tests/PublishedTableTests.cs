namespace Glm.Evaluation.Tests;

/// <summary>The published numbers, checked by a second route wherever the papers give one: counts of items, averages, formulas, other tables.</summary>
public sealed class PublishedTableTests
{
    private static readonly string[] LessModels = ["GPT-4-Turbo-0125", "GPT-4-Turbo-1106", "GPT-3.5-Turbo-1106", "Claude-2"];

    private static PublishedTable Table(string id) => PublishedTable.All.Single(table => table.Id == id);

    private static double Value(string table, string row, string column) => Table(table).Find(row, column)!.Value;

    [Fact]
    public void Tables_are_complete_and_whole()
    {
        string[] files = [.. typeof(PublishedTable).Assembly.GetManifestResourceNames().Where(name => name.EndsWith(".json", StringComparison.Ordinal))];
        Assert.Equal(files.Order(StringComparer.Ordinal), PublishedTable.All.Select(table => table.Id + ".json").Order(StringComparer.Ordinal));
        foreach (var table in PublishedTable.All)
        {
            Assert.All(table.Rows, row => Assert.True(row.Values.Count == table.Columns.Count, $"{table.Id}: {row.Name}"));
            Assert.Equal(table.Rows.Count, table.Rows.Select(row => row.Name).Distinct().Count());
            Assert.NotEmpty(table.Source);
        }
        Assert.Equal(910, PublishedTable.All.Sum(table => table.Rows.Sum(row => row.Values.Count(value => value is not null))));
    }

    /// <summary>An accuracy in percent, times the questions of the subject, is a whole number but for rounding.</summary>
    [Theory]
    [InlineData("GLM-130B", 44.71)]
    [InlineData("BLOOM-176B", 31.94)]
    public void Mmlu_counts_whole_questions(string model, double average)
    {
        var table = Table("mmlu");
        var subjects = table.Rows.Where(row => row.Items is not null).ToList();
        Assert.Equal(57, subjects.Count);
        Assert.Equal(14042, subjects.Sum(row => row.Items!.Value));
        double right = 0;
        foreach (var row in subjects)
        {
            double count = table.Find(row.Name, model)!.Value * row.Items!.Value / 100;
            Assert.True(Math.Abs(count - Math.Round(count)) <= 0.012 * row.Items.Value / 100, $"{row.Name}: {count}");
            right += count;
        }
        Assert.Equal(average, 100 * right / 14042, 0.005);
    }

    [Fact]
    public void Mmlu_groups_are_averages_of_their_subjects()
    {
        var table = Table("mmlu");
        var groups = table.Rows.Where(row => row.Group is not null).ToList();
        Assert.Equal(4, groups.Count);
        foreach (var group in groups)
        {
            var subjects = table.Rows.Where(row => row.Section == group.Name).ToList();
            double average = subjects.Sum(row => table.Find(row.Name, "GLM-130B")!.Value * row.Items!.Value) / subjects.Sum(row => row.Items!.Value);
            Assert.Equal(table.Find(group.Name, "GLM-130B")!.Value, average, 0.05);
        }
    }

    /// <summary>4,133 of the 5,153 passages, in every table that has the number.</summary>
    [Fact]
    public void Lambada_counts_whole_passages()
    {
        foreach (string column in new[] { "GLM-130B FP16", "GLM-130B INT8", "GLM-130B INT4" })
        {
            double count = Value("quantisation", "LAMBADA", column) * 5153 / 100;
            Assert.Equal(Math.Round(count), count, 0.03);
        }
        Assert.Equal(Value("lambada", "bidirectional", "GLM-130B"), Value("quantisation", "LAMBADA", "GLM-130B FP16"), 0.05);
        Assert.Equal(Value("quantisers", "original", "GLM-130B"), Value("quantisation", "LAMBADA", "GLM-130B FP16"), 0.005);
        Assert.Equal(Value("quantisers", "absmax INT4 row", "GLM-130B"), Value("quantisation", "LAMBADA", "GLM-130B INT4"), 0.005);
        Assert.Equal(Value("quantisers", "original", "GLM-10B"), Value("lambada", "bidirectional", "GLM-10B"));
    }

    [Fact]
    public void Averages_over_the_pile_agree_between_tables() =>
        Assert.Equal(Value("pile", "weighted average", "GLM-130B"), Value("quantisation", "Pile (part) BPB", "GLM-130B FP16"));

    /// <summary>The printed averages, or where these do not fit the rows, what the rows give (GLM-130B at 1 and 3 shots, PaLM-540B).</summary>
    [Theory]
    [InlineData("bigbench-lite-0-shot", "GLM-130B", 13.31)]
    [InlineData("bigbench-lite-1-shot", "GLM-130B", 15.12)]
    [InlineData("bigbench-lite-3-shot", "GLM-130B", 15.00)]
    [InlineData("bigbench-lite-0-shot", "GPT-3 175B", 4.35)]
    [InlineData("bigbench-lite-1-shot", "GPT-3 175B", 11.34)]
    [InlineData("bigbench-lite-3-shot", "GPT-3 175B", 13.18)]
    [InlineData("bigbench-lite-0-shot", "PaLM-540B", 8.24)]
    [InlineData("bigbench-lite-1-shot", "PaLM-540B", 39.29)]
    public void Bigbench_lite_rows_average(string id, string model, double average)
    {
        var rows = Table(id).Rows.Where(row => !row.Summary).ToList();
        Assert.Equal(24, rows.Count);
        Assert.Equal(average, rows.Average(row => Table(id).Find(row.Name, model)!.Value), 0.006);
        double printed = Table("bigbench-lite").Find(Table("bigbench-lite").Rows.Single(row => row.AverageOf == id).Name, model)!.Value;
        if (model.StartsWith("GPT", StringComparison.Ordinal) || (model, id) == ("GLM-130B", "bigbench-lite-0-shot")) Assert.Equal(average, printed);
        else Assert.InRange(Math.Abs(average - printed), 0.1, 1.6); // known slips of the paper, said in the notes
    }

    [Theory]
    [InlineData("clue", 24.26)]
    [InlineData("fewclue", 12.75)]
    public void Gains_over_ernie_are_those_of_the_paper(string id, double gain)
    {
        var rows = Table(id).Rows.Where(row => row.Values[0] is not null).ToList();
        Assert.Equal(gain, rows.Average(row => row.Values[1]!.Value - row.Values[0]!.Value), 0.006);
    }

    /// <summary>Weighted by the pairs of the data set, or plain (GLM-130B).</summary>
    [Fact]
    public void Crows_pairs_categories_average()
    {
        var rows = Table("crows-pairs").Rows.Where(row => row.Items is not null).ToList();
        Assert.Equal(1508, rows.Sum(row => row.Items!.Value));
        Assert.Equal(67.2, rows.Sum(row => row.Values[0]!.Value * row.Items!.Value) / 1508, 0.05);
        Assert.Equal(69.5, rows.Sum(row => row.Values[1]!.Value * row.Items!.Value) / 1508, 0.05);
        Assert.Equal(65.8, rows.Average(row => row.Values[2]!.Value), 0.05);
        Assert.Equal([67.2, 69.5, 65.8], Table("crows-pairs").Rows.Single(row => row.Summary).Values.Select(value => value!.Value));
    }

    [Fact]
    public void Stereoset_icat_follows_from_the_other_two()
    {
        var table = Table("stereoset");
        Assert.Equal(15, table.Rows.Count);
        for (int i = 0; i < 15; i += 3)
            for (int column = 0; column < 3; column++)
            {
                double lms = table.Rows[i].Values[column]!.Value, ss = table.Rows[i + 1].Values[column]!.Value;
                Assert.Equal(lms * Math.Min(ss, 100 - ss) / 50, table.Rows[i + 2].Values[column]!.Value, 0.12);
            }
    }

    /// <summary>1,000 records below 32k and 200 from there; 200 and 50 for services (Ada-LEval 15.1).</summary>
    [Theory]
    [InlineData("ada-leval-bestanswer")]
    [InlineData("ada-leval-tsort")]
    public void Ada_leval_counts_whole_records(string id)
    {
        var table = Table(id);
        foreach (var row in table.Rows)
            for (int column = 0; column < table.Columns.Count; column++)
            {
                if (row.Values[column] is not { } value || table.Columns[column] == "Random guess") continue;
                bool isLong = row.Name is "32k" or "64k" or "128k";
                int records = LessModels.Contains(table.Columns[column]) ? isLong ? 50 : 200 : isLong ? 200 : 1000;
                double count = value * records / 100;
                Assert.True(Math.Abs(count - Math.Round(count)) < 1e-6, $"{row.Name}, {table.Columns[column]}: {count}");
            }
        if (id == "ada-leval-tsort") Assert.All(table.Rows, row => Assert.Equal(100.0 / 24, row.Values[^1]!.Value, 0.05));
    }

    [Fact]
    public void Cola_prompts_sum_up()
    {
        double[] prompts = [.. Table("cola-prompts").Rows.Where(row => !row.Summary).Select(row => row.Values[0]!.Value)];
        Assert.Equal(Value("cola-prompts", "max", "GLM-130B"), prompts.Max());
        Assert.Equal(Value("cola-prompts", "median", "GLM-130B"), prompts.Order().ElementAt(2));
        Assert.Equal(Value("cola-prompts", "average", "GLM-130B"), prompts.Average(), 0.001);
        Assert.Equal(Value("nli", "cola", "GLM-130B"), Value("cola-prompts", "median", "GLM-130B"), 0.05);
    }

    [Fact]
    public void Metrics_of_rows_exist() =>
        Assert.All(PublishedTable.All.SelectMany(table => table.Rows), row => Assert.True(row.Metric is null || Metric.Find(row.Metric) is not null, row.Metric));
}
