namespace Glm.Training.Tests;

public class GlmBlockObjectiveTests
{
    private const int Enc = 900, Eos = 901, Mask = 902, Sop = 905, Eop = 906;

    private static readonly GlmBlockOptions Options = new()
    {
        MaskId = Mask, GmaskId = 903, SmaskId = 904, SopId = Sop, EopId = Eop, EncId = Enc, EosId = Eos, MaxSeqLength = 128,
    };

    private static DocumentSample Sample(int length) =>
        new([Enc, .. Enumerable.Range(1, length - 1)], [0, .. Enumerable.Repeat((byte)1, length - 1)]);

    [Fact]
    public void Short_spans_do_not_cross_the_end_of_a_document()
    {
        var objective = new GlmBlockObjective(Options with { BertRatio = 0.3 });
        DocumentSample sample = Sample(100);
        foreach (int end in (int[])[20, 50, 75]) sample.Text[end] = Eos;
        for (int index = 0; index < 300; index++)
        {
            TrainingBatch batch = objective.Build([sample, Sample(100)], new CounterRandomSource(1, index));
            Assert.DoesNotContain(Eos, Enumerable.Range(0, batch.Tokens.Length).Where(i => batch.LossMask[i] == 1).Select(i => batch.Targets[i]));
        }
    }

    [Fact]
    public void A_sample_that_cannot_hold_its_spans_is_left_out_and_an_empty_batch_refused()
    {
        // A single document of 10 takes 6 masked tokens and more only where their spans leave room between them.
        var objective = new GlmBlockObjective(Options with { BertRatio = 0.6 });
        int[] rows = [.. Enumerable.Range(0, 100).Select(index =>
        {
            try
            {
                return objective.Build([Sample(10), Sample(10)], new CounterRandomSource(1, index)).Rows;
            }
            catch (GlmException error)
            {
                Assert.Contains("no sample is long enough", error.Message);
                return 0;
            }
        })];
        Assert.Contains(0, rows);
        Assert.Contains(1, rows);
    }

    [Fact]
    public void Samples_and_settings_that_cannot_work_are_refused()
    {
        void Refused(string reason, GlmBlockOptions options, DocumentSample sample) => Assert.Contains(reason,
            Assert.Throws<GlmException>(() => new GlmBlockObjective(options).Build([sample], new CounterRandomSource(0, 0))).Message);
        Refused("ENC (900) first", Options, new DocumentSample([1, 2, 3], [0, 1, 1]));
        Refused("found 2 ids", Options, new DocumentSample([Enc, 2], [0, 1]));
        Refused("2 flags", Options, new DocumentSample([Enc, 2, 3], [0, 1]));
        Refused("there are 0", Options with { SentinelToken = true }, Sample(100));
    }
}
